#!/usr/bin/env python3
"""What delays.yaml must yield, computed without SQL: oracle.py DATA OUT writes one CSV file for each store."""
import csv
import datetime
import math
import pathlib
import sys
from collections import defaultdict

data, out = map(pathlib.Path, sys.argv[1:])


def read(name):
    with open(data / f"{name}.csv", newline="") as file:
        return [{key: None if value in ("NA", "") else value for key, value in row.items()} for row in csv.DictReader(file)]


def rounded(value, digits):  # half away from zero
    if value is None:
        return None
    scaled = value * 10**digits
    return math.copysign(math.floor(abs(scaled) + 0.5), scaled) / 10**digits


def mean(values):
    values = [value for value in values if value is not None]
    return sum(values) / len(values) if values else None


def most(values):
    return max((value for value in values if value is not None), default=None)


def least(values):
    return min((value for value in values if value is not None), default=None)


def write(name, columns, rows):
    with open(out / f"{name}.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


weather = {}
for row in read("weather"):
    wind = row["wind_speed"] and float(row["wind_speed"])
    if wind is None or wind < 200:
        weather[row["origin"], row["time_hour"]] = (wind, row["visib"] and float(row["visib"]))
airlines = {row["carrier"]: row["name"] for row in read("airlines")}

flights = []
for row in read("flights"):
    wind, visibility = weather.get((row["origin"], row["time_hour"]), (None, None))
    date = datetime.date(int(row["year"]), int(row["month"]), int(row["day"]))
    arrival = row["arr_delay"] and int(row["arr_delay"])
    flights.append({
        "origin": row["origin"], "carrier": row["carrier"], "month": int(row["month"]), "date": date,
        "hour": int(row["hour"]), "distance": int(row["distance"]),
        "delay": None if row["dep_delay"] is None else int(row["dep_delay"]),
        "cancelled": row["dep_time"] is None, "on_time": None if arrival is None else arrival < 15,
        "wind": wind, "visibility": visibility})


def groups(*keys):
    found = defaultdict(list)
    for flight in flights:
        found[tuple(flight[key] for key in keys)].append(flight)
    return sorted(found.items())


def column(rows, name):
    return [row[name] for row in rows]


def delay(rows):
    return rounded(mean(column(rows, "delay")), 1)


def on_time(rows):
    share = mean(column(rows, "on_time"))
    return rounded(None if share is None else 100 * share, 1)


write("hourly", ["origin", "carrier", "hour", "flights", "cancelled", "delay", "wind", "visibility"],
      [(origin, carrier, f"{date} {hour:02}:00:00", len(rows), sum(column(rows, "cancelled")), delay(rows),
        most(column(rows, "wind")), least(column(rows, "visibility")))
       for (origin, carrier, date, hour), rows in groups("origin", "carrier", "date", "hour")])
write("carriers", ["carrier", "airline", "flights", "cancelled_percent", "on_time_percent", "delay"],
      [(carrier, airlines[carrier], len(rows), rounded(100 * mean(column(rows, "cancelled")), 2), on_time(rows), delay(rows))
       for (carrier,), rows in groups("carrier")])
write("clock", ["local_hour", "flights", "delay", "on_time_percent"],
      [(hour, len(rows), delay(rows), on_time(rows)) for (hour,), rows in groups("hour")])
days = [(date, len(rows), sum(column(rows, "cancelled")), delay(rows), most(column(rows, "wind")),
         least(column(rows, "visibility"))) for (date,), rows in groups("date")]
write("worst_days", ["date", "flights", "cancelled", "delay", "wind", "visibility"],
      sorted(days, key=lambda day: (-day[2], day[0]))[:20])
write("archive", ["month", "flights", "distance", "cancelled", "with_wind"],  # sums over its files
      [(month, len(rows), sum(column(rows, "distance")), sum(column(rows, "cancelled")),
        sum(value is not None for value in column(rows, "wind"))) for (month,), rows in groups("month")])
