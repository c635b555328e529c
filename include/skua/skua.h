/* skua/skua.h: all of Skua. */
#ifndef SKUA_H
#define SKUA_H

#include <skua/base.h>
#include <skua/blocking.h>
#include <skua/chan.h>
#include <skua/collect.h>
#include <skua/control.h>
#include <skua/fork.h>
#include <skua/gather.h>
#include <skua/gen.h>
#include <skua/group.h>
#include <skua/io.h>
#include <skua/limit.h>
#include <skua/local.h>
#include <skua/meet.h>
#include <skua/par.h>
#include <skua/pool.h>
#include <skua/queue.h>
#include <skua/retry.h>
#include <skua/runtime.h>
#include <skua/scope.h>
#include <skua/select.h>
#include <skua/share.h>
#include <skua/stream.h>
#include <skua/sync.h>
#include <skua/task.h>
#include <skua/testing.h>

#endif
