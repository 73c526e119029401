#!/usr/bin/env python3
"""What packages.yaml must yield, computed without SQL: oracle.py DATA OUT writes one CSV file for each store."""
import csv
import pathlib
import sys
from collections import defaultdict

data, out = map(pathlib.Path, sys.argv[1:])

events = []
with open(data / "dpkg.log") as file:
    for line in file:
        day, time, action, *what = line.split()
        if action == "startup":
            continue
        state = what.pop(0) if action == "status" else None
        version = what[-2] if what[-1] == "<none>" else what[-1]
        events.append((day, f"{day} {time}", action, state, what[0], version))

days = defaultdict(list)
for event in events:
    days[event[0], event[2]].append(event)


def write(name, columns, rows):
    with open(out / f"{name}.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


write("events", ["day", "happened", "action", "state", "package", "version"], events)
write("days", ["day", "action", "events", "packages", "earliest", "latest"],
      [(day, action, len(rows), len({row[4] for row in rows}), min(row[1] for row in rows), max(row[1] for row in rows))
       for (day, action), rows in sorted(days.items())])
