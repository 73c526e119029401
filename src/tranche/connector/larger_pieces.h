// Rows in larger pieces than the engine hands on, 2048 at a time: for what costs something for each piece.
#pragma once

#include <memory>

#include "tranche/connector/engine.h"

namespace tranche {

// The same rows in the same order, in pieces of some ten thousand rows or 16 MiB. They are copied once.
std::unique_ptr<Reader> InLargerPieces(std::unique_ptr<Reader> reader);

}  // namespace tranche
