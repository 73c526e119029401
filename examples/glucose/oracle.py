#!/usr/bin/env python3
"""What hours.yaml must yield, computed without SQL: oracle.py DATA OUT writes one CSV file for its stores."""
import csv
import math
import pathlib
import sys
from collections import defaultdict
from datetime import datetime, timedelta

data, out = map(pathlib.Path, sys.argv[1:])


def rounded(value, digits):  # half away from zero
    return None if value is None else math.floor(value * 10**digits + 0.5) / 10**digits


readings = {}  # of a minute that was read twice, the one with the smaller current
with open(data / "readings.csv", newline="") as file:
    for row in csv.DictReader(file):
        current = math.inf if row["isig"] in ("nil", "") else float(row["isig"])
        time = datetime.fromisoformat(row["datetime"])
        readings[time] = min(readings.get(time, (math.inf, 10**9)), (current, int(row["glucose"])))

hours = defaultdict(list)
for time, reading in readings.items():
    hours[time.replace(minute=0, second=0)].append(reading)


def glucose(hour):
    return sum(value for _, value in hours[hour]) / len(hours[hour])


rows = []
last_current = None
before = min(hours)
hour, end = min(hours), max(hours)
while hour <= end:
    if hour in hours:
        before = hour
        currents = [current for current, _ in hours[hour] if current < math.inf]
        if currents:
            last_current = sum(currents) / len(currents)
        values = [value for _, value in hours[hour]]
        middle, low, high = glucose(hour), min(values), max(values)
    else:
        after = hour
        while after not in hours:
            after += timedelta(hours=1)
        share = (hour - before) / (after - before)
        middle, low, high, values = glucose(before) + share * (glucose(after) - glucose(before)), None, None, []
    rows.append((hour, len(values), rounded(middle, 1), low, high, rounded(last_current, 2), str(70 <= middle <= 180).lower()))
    hour += timedelta(hours=1)

with open(out / "hours.csv", "w", newline="") as file:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["hour", "readings", "glucose", "lowest", "highest", "isig", "in_range"])
    writer.writerows(rows)
