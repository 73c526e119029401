// Small charts as inline SVG, without a script: colours come from the page's style (--c1 … --c6), so that
// they follow light and dark. Every mark has its value as a tooltip, and every chart a label for screen
// readers.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "tranche/report/html.h"

namespace tranche::html {

struct Series {
  std::string name;                               // drawn in a legend where there are several
  std::vector<std::pair<double, double>> points;  // ascending x
};

struct LineChart {
  std::string label;  // what a screen reader says
  Unit x = Unit::kSeconds;
  Unit y = Unit::kNumber;
  std::vector<Series> series = {};  // at most six
  bool from_zero = true;            // the y axis begins at 0; else near the least value
};
std::string Draw(const LineChart& chart);

struct BarChart {
  std::string label;
  std::vector<std::pair<std::string, double>> bars = {};
  Unit unit = Unit::kNumber;
  int colour = 1;
};
std::string Draw(const BarChart& chart);

// How often which value occurs; the median and the 99th percentile are marked.
struct Histogram {
  std::string label;
  Unit unit = Unit::kNumber;
  std::vector<double> values = {};  // not negative
};
std::string Draw(const Histogram& chart);

// Of unordered values; the nearest rank. 0 where there are none.
double Percentile(std::vector<double> values, double share);

// Round numbers within [least, most], about `count` of them.
std::vector<double> Ticks(double least, double most, int count);

// Whole minutes, days, months … as seconds since 1970, and what stands at them.
std::vector<std::pair<double, std::string>> TimeTicks(double least, double most);

}  // namespace tranche::html
