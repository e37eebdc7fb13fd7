/* crispembed.h: CrispEmbed's recogniser under its own names, over crispvl.
 *
 * For programs written against CrispEmbed's single-model OCR calls: they compile and link unchanged
 * with libcrispvl. New programs use crispvl.h, whose crispvl_last_error() also tells why one of
 * these returned NULL. A context belongs to one thread at a time.
 */
#ifndef CRISPEMBED_H
#define CRISPEMBED_H

#include "crispvl.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Loads a single-file model on the best device; 0 threads: one per physical core. NULL on failure.
 */
CRISPVL_API void* crispembed_math_ocr_init(const char* model_path, int n_threads);
CRISPVL_API void crispembed_math_ocr_free(void* ctx);

/* Reads 8-bit pixels, rows without gaps, of 1 (grey), 3 (RGB) or 4 (RGBA) channels. Returns UTF-8
 * of
 * `*out_len` bytes (may be NULL), valid until the next call with this context; NULL on failure. */
CRISPVL_API const char* crispembed_math_ocr_recognize(void* ctx, const uint8_t* pixel_bytes,
                                                      int width, int height, int channels,
                                                      int* out_len);

/* The same for grey values from 0 to 1. */
CRISPVL_API const char* crispembed_math_ocr_recognize_gray(void* ctx, const float* pixels,
                                                           int width, int height, int* out_len);

/* Probability of each token of the newest result, and their mean; NULL and 0 before one. */
CRISPVL_API const float* crispembed_math_ocr_confidences(const void* ctx, int* n_tokens);
CRISPVL_API float crispembed_math_ocr_mean_confidence(const void* ctx);

#ifdef __cplusplus
}
#endif

#endif /* CRISPEMBED_H */
