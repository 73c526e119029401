// Chain: puts step behind step and ends a stage where a spool must stand.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tranche/plan/plan.h"

namespace tranche {

// Where the rows are now: a relation, and the stage that is being built around it.
class Chain {
 public:
  // `inputs`: what steps may join by name. All references outlive the chain.
  Chain(std::string name, Plan& plan, Engine& engine, const Job& job, uint64_t seed,
        const std::map<std::string, Relation>& inputs)
      : name_(std::move(name)), plan_(plan), engine_(engine), job_(job), seed_(seed), inputs_(inputs) {
    stage_.name = name_;
  }

  void Begin(Relation relation, std::vector<std::string> flow);
  // What was done already to rows that flow in, within the same query.
  void Inherit(const PlannedStage& part);
  const PlannedStage& stage() const { return stage_; }  // as far as it is built
  Status Add(const StepItem& item);
  Status OpenGroup(const Group& group);
  // Orders rows by the open group and numbers the groups, so that each is stored as its own batch.
  Status KeepGroups();

  // Nothing has been done since Begin or the last Seal.
  bool idle() const { return stage_.steps.empty(); }
  // Others can't take its relation as it is: refused rows are to be taken out, or something is to be judged
  // first.
  bool must_seal() const { return relation_.marked() || !stage_.guards.empty(); }
  const Relation& relation() const { return relation_; }

  // Ends the stage, adds it to the plan, and goes on from its spool.
  std::string Seal(std::string why);  // the stage's name

 private:
  Status Wrap(std::string origin, const std::function<Result<StepOutput>(const Relation&)>& render);
  Relation StubOf(const Relation& relation) const;

  std::string name_;
  Plan& plan_;
  Engine& engine_;
  const Job& job_;
  uint64_t seed_;
  const std::map<std::string, Relation>& inputs_;
  Relation relation_;
  PlannedStage stage_;
  int sealed_ = 0;
};

Error ReservedName(std::string_view column);

// "(SELECT <columns and hidden> FROM <from>)" as a relation.
Relation RelationOver(Columns columns, std::vector<std::string> hidden, const SqlText& from);

// The relation of a sealed stage: visible columns, and the hidden ones but the marks.
Relation SealedRelation(const PlannedStage& stage);

}  // namespace tranche
