#!/usr/bin/env python3
"""What values.yaml must yield, computed without SQL: oracle.py DATA OUT writes one CSV file for each store."""
import csv
import pathlib
import statistics
import sys
from collections import defaultdict

data, out = map(pathlib.Path, sys.argv[1:])


def read(name):
    with open(data / name, newline="") as file:
        return list(csv.DictReader(file))


diagnosed = defaultdict(dict)  # patient → disease → day of its first diagnosis
for row in read("diagnoses.csv"):
    diseases, day = diagnosed[row["id"]], int(row["days"])
    diseases[row["event"]] = min(day, diseases.get(row["event"], day))

groups = defaultdict(list)     # disease, test, year → patients and values
for row in read("values.csv"):
    test, value = row["test"], float(row["value"])
    if test in ("chol", "dbp") or (test == "sbp" and not 40 <= value <= 300):
        continue
    for disease, day in diagnosed[row["id"]].items():
        if int(row["days"]) >= day:
            groups[disease, test, (int(row["days"]) - day) // 365 + 1].append((row["id"], value))

rows = []
for key, found in sorted(groups.items()):
    patients, values = {patient for patient, _ in found}, [value for _, value in found]
    if len(patients) >= 5:
        rows.append((*key, len(patients), len(values), f"{statistics.median(values):.2f}", min(values), max(values)))
for name in ("report.csv", "database.csv"):
    with open(out / name, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["disease", "test", "year", "patients", "values", "median", "lowest", "highest"])
        writer.writerows(rows)
