#include "base/digest.h"

#include <openssl/evp.h>
#include <string.h>

#include "base/check.h"

void digest_sha256(const void *bytes, size_t size, uint8_t out[32])
{
    unsigned length = 0;
    const int done = EVP_Digest(size > 0 ? bytes : "", size, out, &length, EVP_sha256(), NULL);
    CHECK(done == 1 && length == 32, "libcrypto can't compute SHA-256 (%zu bytes)", size);
}

void digest_hex(const uint8_t *bytes, size_t count, char *text)
{
    static const char digit[] = "0123456789abcdef";
    for (size_t i = 0; i < count; i++) {
        text[2 * i] = digit[bytes[i] >> 4];
        text[2 * i + 1] = digit[bytes[i] & 15];
    }
    text[2 * count] = '\0';
}

uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t size)
{
    const uint8_t *byte = bytes;
    for (size_t i = 0; i < size; i++) {
        hash ^= byte[i];
        hash *= 0x100000001b3ull; /* FNV-1a's prime of 64 bits */
    }
    return hash;
}

uint64_t hash_text(uint64_t hash, const char *text)
{
    return hash_bytes(hash, text, strlen(text) + 1);
}
