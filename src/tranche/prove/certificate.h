// What `prove` hands out: the same facts as text, as JSON and as a page.
#pragma once

#include <string>

#include "tranche/prove/proof.h"

namespace tranche {

std::string CertificateText(const Certificate& certificate);
std::string CertificateJson(const Certificate& certificate);
std::string CertificatePage(const Certificate& certificate);  // one HTML file that needs nothing else

}  // namespace tranche
