/* skua/skua.h: all of Skua.

   For who knows asyncio and looks for the word:

     asyncio.run                       skua_run                                  runtime
     Runner, run_until_complete        skua_runtime_create, skua_call            runtime
     run_coroutine_threadsafe          skua_submit, skua_call                    runtime
     get_running_loop                  skua_runtime_current                      runtime
     call_soon, call_soon_threadsafe   skua_call_soon                            control
     call_later                        skua_call_later, skua_timer_cancel        control
     all_tasks                         skua_dump, skua_runtime_counts            control
     async def, await                  a function, a call
     create_task                       skua_spawn, skua_spawn_many               task
     await task                        skua_join                                 task
     current_task                      skua_self                                 task
     done, cancelled, exception        skua_task_state, skua_task_error          task
     sleep, sleep(0)                   skua_sleep, skua_yield                    task
     ContextVar (contextvars)          skua_local_set, skua_local_get            local
     gather                            skua_gather; over an array: skua_map      gather, group
     wait, as_completed                skua_wait, skua_as_completed_next         gather
     TaskGroup, nursery                skua_group_open, skua_group_spawn         group
     except*, ExceptionGroup           skua_group_errors, skua_errors_split      group
     wait_for                          skua_within                               scope
     timeout, timeout_at, reschedule   skua_scope_open, skua_scope_deadline      scope
     move_on_after, fail_after         skua_move_on, skua_within                 scope
     cancel, CancelledError            skua_task_cancel, -ECANCELED              task, scope
     shield                            skua_shielded, skua_shield_open           scope
     uncancel                          leave the cancelled scope                 scope
     finally                           skua_defer                                scope
     async with                        skua_with, skua_resource                  scope
     asynccontextmanager               skua_gen_finish                           gen
     async generator, yield            skua_gen_open, skua_gen_yield             gen
     async for, StopAsyncIteration     skua_stream_next gives 0                  stream
     async comprehension               skua_stream_collect and its like          collect
     Queue, LifoQueue, PriorityQueue   skua_queue_create                         queue
     task_done, join, shutdown         skua_queue_done, _join, _close            queue
     Lock                              skua_mutex_lock, skua_guard_lock          sync
     Semaphore, BoundedSemaphore       skua_sem_init, skua_sem_init_bounded      sync
     Event, Condition                  skua_event_wait, skua_cond_wait           sync
     Barrier                           skua_barrier_wait                         meet
     CapacityLimiter                   skua_limiter_borrow                       limit
     to_thread, run_in_executor        skua_blocking                             blocking
     ThreadPoolExecutor                skua_blocking; to compute: skua_for       blocking, par
     ProcessPoolExecutor               skua_pool_create, skua_pool_call          pool
     its submit, map                   skua_pool_submit, skua_pool_stream_next   pool, pool_map
     its initializer, initargs         skua_pool_opts: init; skua_job_state      pool, job
     its shutdown                      skua_pool_drain, skua_pool_destroy        pool
     multiprocessing.Queue, Pipe       skua_job_send, skua_job_receive           job
     MPIPoolExecutor                   the same pool, started by mpirun          cluster
     add_reader, add_writer            skua_wait_fd; in selects SKUA_READY       io
     sock_recv, sock_sendall           skua_read, skua_write_all, skua_recv      io, transfer
     loop.sendfile, write_eof          skua_sendfile, skua_shutdown              transfer
     open_connection                   skua_tcp_connect, skua_unix_connect       resolve, net
     getaddrinfo                       skua_resolve                              resolve
     start_server, serve_forever       skua_serve, skua_server_stop              serve
     create_datagram_endpoint          skua_datagram_open, skua_recv_from        net
     StreamReader.readline             skua_reader_line                          reader
     readuntil, readexactly            skua_reader_until, skua_reader_exact      reader
     StreamWriter.write, drain         skua_writer_write, skua_writer_flush      reader
     ssl.SSLContext                    skua_tls_client_config, _server_config    tls
     ssl=context, start_tls            skua_tls_client, skua_tls_handshake       tls
     pools of asyncpg and the like     skua_conn_pool_acquire                    conn_pool
     aiofiles                          skua_file_load, skua_file_save, skua_open file, io
     aiofiles.os, scandir              skua_stat, skua_rename, skua_dir_next     file, dir
     create_subprocess_exec            skua_process_start                        process
     communicate                       skua_process_run_all                      process
     terminate, kill                   skua_process_end, skua_process_kill       process
     add_signal_handler                skua_signal_open, skua_signal_wait        signal
     pytest.mark.asyncio               SKUA_TEST                                 testing

   docs/guide/asyncio.md has both sides of each. */
#ifndef SKUA_H
#define SKUA_H

#include <skua/base.h>
#include <skua/blocking.h>
#include <skua/chan.h>
#include <skua/cluster.h>
#include <skua/collect.h>
#include <skua/conn_pool.h>
#include <skua/control.h>
#include <skua/dir.h>
#include <skua/file.h>
#include <skua/fork.h>
#include <skua/gather.h>
#include <skua/gen.h>
#include <skua/group.h>
#include <skua/io.h>
#include <skua/job.h>
#include <skua/limit.h>
#include <skua/local.h>
#include <skua/meet.h>
#include <skua/net.h>
#include <skua/par.h>
#include <skua/pool.h>
#include <skua/pool_map.h>
#include <skua/pool_watch.h>
#include <skua/process.h>
#include <skua/queue.h>
#include <skua/reader.h>
#include <skua/resolve.h>
#include <skua/retry.h>
#include <skua/runtime.h>
#include <skua/scope.h>
#include <skua/select.h>
#include <skua/serve.h>
#include <skua/share.h>
#include <skua/signal.h>
#include <skua/stream.h>
#include <skua/sync.h>
#include <skua/task.h>
#include <skua/testing.h>
#include <skua/transfer.h>

#endif
