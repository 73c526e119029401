#include "tranche/job/canonical.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "tranche/job/check.h"

namespace tranche {
namespace {

using Json = nlohmann::json;  // its objects are sorted by key
using Kind = Shape::Kind;

// Options are a set; maps of the user's names have an order, which is that of the columns that come out.
Json Dump(const Node& node, const Shape& shape) {
  const Shape* fitting = FittingShape(node, shape);
  if (node.is_scalar()) return node.shown();
  Json json = Json::array();
  if (node.is_list()) {
    for (const Node& item : node.items)
      json.push_back(Dump(item, fitting && fitting->item ? *fitting->item : Shape::Text()));
    return json;
  }
  if (fitting && fitting->kind == Kind::kObject) {
    json = Json::object();
    for (const auto& [key, value] : node.entries) {
      auto field = std::ranges::find(fitting->fields, key.name, &Field::name);
      json[key.name] = Dump(value, field == fitting->fields.end() ? Shape::Text() : field->shape);
    }
    return json;
  }
  for (const auto& [key, value] : node.entries) {
    json.push_back({key.name, Dump(value, fitting && fitting->item ? *fitting->item : Shape::Text())});
  }
  return json;
}

Json Dump(const std::vector<StepItem>& steps) {
  Json json = Json::array();
  for (const StepItem& step : steps) json.push_back({{step.spec->name, Dump(step.value, step.spec->shape)}});
  return json;
}

Json Dump(const Group& group) {
  Json json = {{"by", group.by}};
  if (group.rows) json["rows"] = *group.rows;
  if (group.window) {
    json["window"] = {{"time", group.window->time},
                      {"length", group.window->length.count()},
                      {"days", group.window->days},
                      {"as", group.window->as},
                      {"zone", group.window->zone}};
  }
  return json;
}

constexpr const char* kServers = "servers";  // of stores, apart from the rest of them

Json Dump(const Body& body, Json& servers) {
  Json stores = Json::object();
  for (const Store& store : body.stores) {
    Json value = Dump(store.value, store.spec->shape);
    if (value.contains(store.spec->server)) {
      servers[store.name] = value[store.spec->server];
      value.erase(store.spec->server);
    }
    stores[store.name] = {{store.spec->name, std::move(value)}};
  }
  Json json = {{"name", body.name},
               {"from", body.from},
               {"prepare", Dump(body.prepare)},
               {"process", Dump(body.process)},
               {"store", std::move(stores)}};
  if (body.group) json["group"] = Dump(*body.group);
  return json;
}

Json DumpIncrement(const Input& input) {
  if (!input.increment) return nullptr;
  const Increment& increment = *input.increment;
  return {increment.column, increment.start, increment.overlap ? increment.overlap->count() : 0};
}

// Values come from files and the environment: bytes that are not UTF-8 must not throw.
std::string Text(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

void AddLimit(Json& json, const std::string& place, const std::optional<RejectLimit>& limit) {
  if (limit) json[place] = limit->ToString();
}

void AddLimits(Json& json, const std::vector<StepItem>& steps) {
  for (const StepItem& step : steps) AddLimit(json, "step " + step.origin, step.rejects);
}

}  // namespace

std::string CanonicalJob(const Job& job, const std::map<std::string, std::string>& shown) {
  Json inputs = Json::object();
  for (const Input& input : job.inputs) {
    inputs[input.name] = {{"connector", {{input.spec->name, Dump(input.value, input.spec->shape)}}},
                          {"new_files", input.new_files},
                          {"increment", DumpIncrement(input)},
                          {"prepare", Dump(input.prepare)}};
  }
  Json bodies = Json::array();
  Json servers = Json::object();
  for (const Body& body : job.bodies) bodies.push_back(Dump(body, servers));
  Json values = Json::object();
  for (const auto& [name, value] : job.values) values[name] = {value.type, shown.at(name)};
  return Text({{"job", job.name},
               {"parameters", job.parameters},
               {"collect", std::move(inputs)},
               {"from", job.from},
               {"prepare", Dump(job.prepare)},
               {"bodies", std::move(bodies)},
               {kServers, std::move(servers)},
               {"values", std::move(values)}});
}

bool IsSameJob(const std::string& canonical, const std::string& other) {
  if (canonical == other) return true;
  Json one = Json::parse(canonical, nullptr, false);
  Json two = Json::parse(other, nullptr, false);
  if (!one.is_object() || !two.is_object()) return false;
  one.erase(kServers);
  two.erase(kServers);
  return one == two;
}

std::string JobTuning(const Job& job) {
  Json rejects = {{"job", job.rejects.ToString()}};
  for (const Input& input : job.inputs) {
    AddLimit(rejects, "input " + input.name, input.rejects);
    AddLimits(rejects, input.prepare);
  }
  AddLimits(rejects, job.prepare);
  Json stores = Json::object();
  for (const Body& body : job.bodies) {
    if (!body.name.empty()) AddLimit(rejects, "branch " + body.name, body.rejects);
    AddLimits(rejects, body.prepare);
    AddLimits(rejects, body.process);
    for (const Store& store : body.stores) {
      AddLimit(rejects, "store " + store.name, store.rejects);
      Json& json = stores[store.name];
      json["batch"] = {{"rows", store.batch.rows},
                       {"bytes", store.batch.bytes},
                       {"linger", store.batch.linger.count()},
                       {"parallel", store.batch.parallel}};
      json["retry"] = {{"attempts", store.retry.attempts},
                       {"least", store.retry.least.count()},
                       {"most", store.retry.most.count()}};
      if (store.retry.timeout) json["retry"]["timeout"] = store.retry.timeout->count();
    }
  }
  Json run = Json::object();
  if (job.run.memory) run["memory"] = *job.run.memory;
  if (job.run.threads) run["threads"] = *job.run.threads;
  if (job.run.timeout) run["timeout"] = job.run.timeout->count();
  return Text({{"rejects", std::move(rejects)}, {"stores", std::move(stores)}, {"run", std::move(run)}});
}

}  // namespace tranche
