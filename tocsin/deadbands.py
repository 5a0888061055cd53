"""How much a quantity may change before a station with a data budget says so at once, in calm.

A deadband is about twice what a good instrument scatters by, and small against what thresholds are about; the next
summary has the change all the same. In the unit of the quantity's name. What is not named has none: rain (each tip is
told), and whatever nobody has thought about yet.
"""

_DEADBANDS = {
    "stage_m": 0.02, "distance_m": 0.02, "depth_m": 0.02, "level_m": 0.02, "flow_m3s": 0.5, "flow_mm_h": 0.1,
    "ch4_pct_lel": 1.0, "ch4_ppm": 50.0, "h2s_ppm": 1.0, "co_ppm": 2.0, "co_mg_m3": 2.5, "nh3_ppm": 2.0,
    "cl2_ppm": 0.2, "so2_ppm": 0.5, "hcl_ppm": 1.0, "o2_pct_vol": 0.2,
    "tank_level_m": 0.02, "tank_pressure_kpa": 2.0, "tank_temp_c": 0.5, "pressure_kpa": 5.0, "flow_l_s": 0.5,
    "flow_l_min": 5.0, "current_a": 0.5, "supply_v": 0.2,
    "battery_v": 0.1, "battery_pct": 2.0, "battery_temp_c": 1.0, "cabinet_temp_c": 1.0,
    "displacement_mm": 1.0, "tilt_deg": 0.05, "pore_pressure_kpa": 1.0, "groundwater_m": 0.02,
    "phreatic_depth_m": 0.02, "soil_water_m3m3": 0.005,
}  # fmt: skip


def deadband_of(quantity: str) -> float:
    """0.0 for a quantity without one: every change is told."""
    return _DEADBANDS.get(quantity, 0.0)
