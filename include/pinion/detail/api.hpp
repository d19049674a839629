// What the library shows to its users; everything else is hidden.
#pragma once

#define PINION_API __attribute__((visibility("default")))
