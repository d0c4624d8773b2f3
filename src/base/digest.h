/* SHA-256 (libcrypto) and a 64-bit FNV-1a hash for quick comparisons between ranks. */
#ifndef MAPPO_BASE_DIGEST_H
#define MAPPO_BASE_DIGEST_H

#include <stddef.h>
#include <stdint.h>

void digest_sha256(const void *bytes, size_t size, uint8_t out[32]);
/* The same of bytes that come piece by piece. */
struct digest;
struct digest *digest_create(void);
void digest_add(struct digest *digest, const void *bytes, size_t size);
void digest_end(struct digest *digest, uint8_t out[32]); /* of all that were added; none can be added any more */
void digest_destroy(struct digest *digest);              /* NULL is allowed */

void digest_hex(const uint8_t *bytes, size_t count, char *text); /* 2 * count characters and a terminator */

#define HASH_START 0xcbf29ce484222325ull
uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t size);
/* Of what is large, such as programs of 100 MB: another value, many times sooner. */
uint64_t hash_many_bytes(uint64_t hash, const void *bytes, size_t size);
uint64_t hash_text(uint64_t hash, const char *text); /* with its terminator, so that "a","b" differs from "ab" */

#endif
