#!/usr/bin/env python3
"""What purchases.yaml must yield, computed without SQL: oracle.py DATA OUT writes one CSV file for each store."""
import csv
import pathlib
import sys
from collections import defaultdict
from decimal import ROUND_HALF_UP, Decimal

data, out = map(pathlib.Path, sys.argv[1:])

purchases = []
for line in (data / "purchases.txt").read_text().splitlines()[1:]:
    customer, day, cds, dollars = line[1:6], line[7:15], line[15:18], line[18:]
    purchases.append((int(customer), f"{day[:4]}-{day[4:6]}-{day[6:]}", int(cds), Decimal(dollars.strip())))

by_month, by_customer = defaultdict(list), defaultdict(list)
for purchase in purchases:
    by_month[purchase[1][:7]].append(purchase)
    by_customer[purchase[0]].append(purchase)
since = {customer: min(day for _, day, _, _ in own) for customer, own in by_customer.items()}


def write(name, header, rows):
    with open(out / name, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


months = []
for month, own in sorted(by_month.items()):
    customers = {customer for customer, _, _, _ in own}
    dollars = sum(paid for _, _, _, paid in own)
    months.append((f"{month}-01", len(own), len(customers), sum(since[customer][:7] == month for customer in customers),
                   sum(cds for _, _, cds, _ in own), dollars, sum(paid == 0 for _, _, _, paid in own),
                   (dollars / len(own)).quantize(Decimal("0.01"), ROUND_HALF_UP)))
write("months.csv", ["month", "purchases", "customers", "new_customers", "cds", "dollars", "free", "basket"], months)
write("customers.csv", ["customer", "purchases", "earliest", "latest", "dollars"],
      [(customer, len(own), since[customer], max(day for _, day, _, _ in own), sum(paid for _, _, _, paid in own))
       for customer, own in sorted(by_customer.items())])
