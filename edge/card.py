"""What a station tells of itself, at its start and when its rules change."""

from edge.config import Station
from thresholds.binding import cards
from thresholds.plan import Plan
from tocsin.messages import SeriesCard, StationCard


def card_of(station: Station, plan: Plan) -> StationCard:
    """What the station says of itself, with the rules in force."""
    table = station.file.station
    return StationCard(
        name=table.name,
        name_zh=table.name_zh or table.name,
        area=table.area,
        latitude=table.latitude,
        longitude=table.longitude,
        series=[
            SeriesCard(series.key, series.quantity, series.period_ms / 1000, series.plausible, series.datum)
            for series in station.series
        ],
        rules=cards(plan),
        rules_hash=plan.rules.hash,
    )
