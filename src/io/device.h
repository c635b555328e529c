/* io/device.h: what is known of the devices that files lie on. Guesses: see device.c. */
#ifndef SKUA_IO_DEVICE_H
#define SKUA_IO_DEVICE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

/* The status of a file there is told, and its paths are looked up, without waiting for others. */
bool skua__device_is_near(uint64_t device);

/* And so is all of its content read and written. */
bool skua__device_is_memory(uint64_t device);

/* Learn of the device that the file is on. May block. */
void skua__device_learn(int fd);

/* The device's number. */
uint64_t skua__device_of(const struct statx *status);

#endif
