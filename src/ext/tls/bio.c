/* How OpenSSL reads and writes: from one buffer of the connection and into another, never further.
   So none of its calls can wait or switch, whatever the transport is. */
#include "ext/tls/connection.h"

#include <pthread.h>
#include <string.h>

static int take_from_in(BIO *bio, char *data, int bytes)
{
    skua_tls *tls = BIO_get_data(bio);
    const size_t there = tls->in.end - tls->in.start;
    BIO_clear_retry_flags(bio);
    if (!tls->may_take || there == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    const size_t count = (size_t)bytes < there ? (size_t)bytes : there;
    memcpy(data, tls->in.bytes + tls->in.start, count);
    tls->in.start += count;
    return (int)count;
}

static int add_to_out(BIO *bio, const char *data, int bytes)
{
    skua_tls *tls = BIO_get_data(bio);
    struct skua__tls_buffer *out = &tls->out;
    BIO_clear_retry_flags(bio);
    if (!tls->is_sending && out->start > 0) {
        memmove(out->bytes, out->bytes + out->start, out->end - out->start);
        out->end -= out->start;
        out->start = 0;
    }
    const size_t room = sizeof out->bytes - out->end;
    const size_t count = (size_t)bytes < room ? (size_t)bytes : room;
    if (count == 0) {
        BIO_set_retry_write(bio);
        return -1;
    }
    memcpy(out->bytes + out->end, data, count);
    out->end += count;
    return (int)count;
}

static long control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH; /* all the rest: not known here */
}

static int create(BIO *bio)
{
    BIO_set_init(bio, 1);
    return 1;
}

/* There are only some 127 of them in a process. */
static pthread_once_t index_once = PTHREAD_ONCE_INIT;
static int own_index;

static void get_index(void)
{
    const int got = BIO_get_new_index();
    own_index = got > 0 ? got : 0; /* others have used them up: then one of no special kind */
}

BIO_METHOD *skua__tls_bio_method(void)
{
    pthread_once(&index_once, get_index);
    BIO_METHOD *method = BIO_meth_new(own_index | BIO_TYPE_SOURCE_SINK, "skua");
    if (method != NULL) {
        BIO_meth_set_read(method, take_from_in);
        BIO_meth_set_write(method, add_to_out);
        BIO_meth_set_ctrl(method, control);
        BIO_meth_set_create(method, create);
    }
    return method;
}
