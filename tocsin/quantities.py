"""What is measured. The unit is part of the name, so no number travels without it."""

from dataclasses import dataclass

from tocsin.levels import Hazard


@dataclass(frozen=True, slots=True)
class Quantity:
    """One measured quantity.

    `plausible` is the widest range that nature and plant allow, in the unit of the name; a site narrows it.
    `increments` names the quantity whose running total this one is (a rain counter), else "".
    """

    name: str
    en: str
    zh: str
    unit: str
    plausible: tuple[float, float]
    hazard: Hazard
    increments: str = ""


_ALL = (
    Quantity("rain_mm", "rain", "雨量", "mm", (0.0, 500.0), Hazard.FLOOD),
    Quantity("rain_total_mm", "rain, running total", "累计雨量", "mm", (0.0, 1e9), Hazard.FLOOD, increments="rain_mm"),
    Quantity("stage_m", "water stage", "水位", "m", (-50.0, 9000.0), Hazard.FLOOD),
    Quantity("distance_m", "distance to the water", "空高", "m", (0.0, 200.0), Hazard.FLOOD),
    Quantity("depth_m", "water over the sensor", "水深", "m", (-1.0, 300.0), Hazard.FLOOD),
    Quantity("level_m", "level of a reservoir", "库水位", "m", (-50.0, 9000.0), Hazard.FLOOD),
    Quantity("flow_m3s", "flow", "流量", "m³/s", (-20_000.0, 500_000.0), Hazard.FLOOD),
    Quantity("flow_mm_h", "flow over the catchment", "径流深", "mm/h", (0.0, 500.0), Hazard.FLOOD),
    Quantity("ch4_pct_lel", "methane", "甲烷", "% LEL", (-5.0, 110.0), Hazard.GAS),
    Quantity("ch4_ppm", "methane in the air", "空气中甲烷", "ppm", (-50.0, 50_000.0), Hazard.GAS),
    Quantity("h2s_ppm", "hydrogen sulfide", "硫化氢", "ppm", (-5.0, 2000.0), Hazard.GAS),
    Quantity("co_ppm", "carbon monoxide", "一氧化碳", "ppm", (-10.0, 5000.0), Hazard.GAS),
    Quantity("co_mg_m3", "carbon monoxide by mass", "一氧化碳质量浓度", "mg/m³", (-10.0, 6000.0), Hazard.GAS),
    Quantity("nh3_ppm", "ammonia", "氨", "ppm", (-5.0, 5000.0), Hazard.GAS),
    Quantity("cl2_ppm", "chlorine", "氯气", "ppm", (-1.0, 500.0), Hazard.GAS),
    Quantity("so2_ppm", "sulfur dioxide", "二氧化硫", "ppm", (-5.0, 2000.0), Hazard.GAS),
    Quantity("hcl_ppm", "hydrogen chloride", "氯化氢", "ppm", (-5.0, 1000.0), Hazard.GAS),
    Quantity("o2_pct_vol", "oxygen", "氧气", "% vol", (0.0, 40.0), Hazard.GAS),
    Quantity("tank_level_m", "tank level", "罐液位", "m", (-1.0, 60.0), Hazard.TANK),
    Quantity("tank_pressure_kpa", "tank pressure", "罐压力", "kPa", (-101.4, 10000.0), Hazard.TANK),
    Quantity("tank_temp_c", "tank temperature", "罐温度", "°C", (-200.0, 900.0), Hazard.TANK),
    Quantity("pressure_kpa", "pressure in a pipe", "管道压力", "kPa", (-101.4, 50_000.0), Hazard.TANK),
    Quantity("flow_l_s", "flow in a pipe", "管道流量", "L/s", (-10_000.0, 10_000.0), Hazard.TANK),
    Quantity("flow_l_min", "small flow in a pipe", "管道小流量", "L/min", (-100_000.0, 100_000.0), Hazard.TANK),
    Quantity("current_a", "current of a motor", "电机电流", "A", (-10_000.0, 10_000.0), Hazard.TANK),
    Quantity("supply_v", "supply voltage", "供电电压", "V", (0.0, 1000.0), Hazard.TANK),
    Quantity("battery_v", "battery voltage", "蓄电池电压", "V", (0.0, 100.0), Hazard.TANK),
    Quantity("battery_pct", "charge of the battery", "蓄电池电量", "%", (0.0, 100.0), Hazard.TANK),
    Quantity("battery_temp_c", "battery temperature", "蓄电池温度", "°C", (-60.0, 120.0), Hazard.TANK),
    Quantity("cabinet_temp_c", "temperature in the cabinet", "机柜温度", "°C", (-60.0, 120.0), Hazard.TANK),
    Quantity("displacement_mm", "displacement of a slope", "坡体位移", "mm", (-100_000.0, 100_000.0), Hazard.SLOPE),
    Quantity("tilt_deg", "tilt", "倾角", "°", (-90.0, 90.0), Hazard.SLOPE),
    Quantity("pore_pressure_kpa", "pore water pressure", "孔隙水压力", "kPa", (-200.0, 5000.0), Hazard.SLOPE),
    Quantity("groundwater_m", "ground water level", "地下水位", "m", (-500.0, 9000.0), Hazard.SLOPE),
    Quantity("phreatic_depth_m", "depth of the phreatic line", "浸润线埋深", "m", (-5.0, 300.0), Hazard.SLOPE),
    Quantity("soil_water_m3m3", "water in the soil", "土壤含水量", "m³/m³", (-0.2, 1.0), Hazard.SLOPE),
)

QUANTITIES = {quantity.name: quantity for quantity in _ALL}


def quantity(name: str) -> Quantity:
    """The quantity of that name. Raises ValueError that lists the names."""
    try:
        return QUANTITIES[name]
    except KeyError:
        raise ValueError(f'"{name}" is not a quantity; use {", ".join(QUANTITIES)}') from None

# what falls in amounts that add up: rules judge its sum over a window
SUMMED = frozenset(quantity.increments for quantity in _ALL if quantity.increments)
