/* gen/gen.h: what streams have to know of a generator. */
#ifndef SKUA_GEN_GEN_H
#define SKUA_GEN_GEN_H

#include <skua/gen.h>

size_t skua__gen_item_bytes(const skua_gen *gen);

#endif
