/* crispvl.h: reads documents with InternVL vision-language models.
 *
 * A whole program. It prints the text in an image, or says why it cannot:
 *
 *     #include <crispvl.h>
 *     #include <stdio.h>
 *
 *     int main(int argc, char** argv) {
 *         crispvl_load_params load;
 *         crispvl_image image = {0};
 *         crispvl_model* model = NULL;
 *         crispvl_result* result = NULL;
 *         crispvl_status status;
 *
 *         if (argc != 3) return 2;
 *         crispvl_load_params_init(&load, sizeof load);
 *         load.path = argv[1];
 *         image.path = argv[2];
 *         status = crispvl_model_load(&load, &model);
 *         if (!status) status = crispvl_recognize(model, &image, NULL, &result);
 *         if (!status) puts(crispvl_result_text(result));
 *         if (status) fprintf(stderr, "%s\n", crispvl_last_error());
 *         crispvl_result_free(result);
 *         crispvl_model_free(model);
 *         return status ? 1 : 0;
 *     }
 *
 * Build it with `cc page.c $(pkg-config --cflags --libs crispvl)`, or in CMake with
 * `find_package(crispvl)` and `target_link_libraries(... crispvl::crispvl)`.
 *
 * ERRORS. Whatever can fail returns a crispvl_status; CRISPVL_OK is 0. The sentence that says what
 * was expected, what was found and what to do is crispvl_last_error(), per thread. A call that
 * fails sets its outputs to NULL or 0 and leaves every handle as it was. Nothing throws, prints or
 * exits, and every argument is checked: a null handle gives CRISPVL_ERROR_ARGUMENT, not a crash.
 *
 * OWNERSHIP. What a function gives through a `crispvl_x** out` is yours until crispvl_x_free(),
 * which takes NULL. Pointers that an accessor returns live as long as the handle they came from.
 * Whatever you pass in is borrowed for the call and copied where it is needed longer. A session
 * keeps its model alive, so handles may be freed in any order.
 *
 * THREADS. A model, a result and a cancel flag may be used by any number of threads at once; models
 * and sessions share no state. A session or a sampler belongs to one thread at a time. Freeing a
 * handle must be its last use. Requests to one model are computed one graph after the other, on the
 * model's own threads; callbacks run on the thread that made the call. A forked process may
 * continue to use a model on the CPU, but not one on a GPU (CRISPVL_ERROR_DEVICE). A call needs 192
 * KiB of its thread's stack; if less is left, it returns CRISPVL_ERROR_MEMORY.
 *
 * UNITS AND TEXT. Strings are UTF-8 and end in NUL; invalid UTF-8 counts as U+FFFD. Times are
 * milliseconds, sizes pixels (`_px`) or bytes (`_bytes`), log-probabilities natural. Arrays are
 * row-major, slowest dimension first. A path is UTF-8 on every system.
 *
 * STABILITY. A struct that may grow comes with an `_init` or a size argument, so that a program
 * built with this header runs with newer libraries of the same CRISPVL_ABI_VERSION. Structs without
 * one never change. Fields of a params struct that you do not set keep their `_init` value.
 */
#ifndef CRISPVL_H
#define CRISPVL_H

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32) && defined(CRISPVL_BUILDING)
#define CRISPVL_API __declspec(dllexport)
#elif defined(_WIN32) && !defined(CRISPVL_STATIC)
#define CRISPVL_API __declspec(dllimport)
#elif defined(__GNUC__)
#define CRISPVL_API __attribute__((visibility("default")))
#else
#define CRISPVL_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- versions and errors ----------------------------------------------------------------- */

#define CRISPVL_ABI_VERSION 1

/* The library's CRISPVL_ABI_VERSION: compare it with the header's if they may differ. */
CRISPVL_API uint32_t crispvl_abi_version(void);

/* The library's version, such as "0.1.0". */
CRISPVL_API const char* crispvl_version(void);

typedef enum crispvl_status {
    CRISPVL_OK = 0,
    CRISPVL_ERROR_ARGUMENT = 1,         /* an argument that is not valid */
    CRISPVL_ERROR_NOT_FOUND = 2,        /* a file that is not there */
    CRISPVL_ERROR_MODEL_FILE = 3,       /* a GGUF file that cannot be used */
    CRISPVL_ERROR_IMAGE = 4,            /* an image that cannot be used */
    CRISPVL_ERROR_CONTEXT_OVERFLOW = 5, /* more tokens than the session or the model holds */
    CRISPVL_ERROR_DEVICE = 6,           /* a device that is missing or failed */
    CRISPVL_ERROR_MEMORY = 7,           /* an allocation that failed, or a stack too small */
    CRISPVL_ERROR_CANCELLED = 8,        /* stopped through a crispvl_cancel */
    CRISPVL_ERROR_INTERNAL = 9,         /* a fault of crispvl: please report it */
    CRISPVL_ERROR_BUFFER = 10           /* a buffer too small; the count tells what is needed */
} crispvl_status;

/* The status in a word, such as "model_file". Never NULL. */
CRISPVL_API const char* crispvl_status_name(crispvl_status status);

/* Why the newest failed call on this thread failed; "" before any. Valid until the next failure on
 * this thread. */
CRISPVL_API const char* crispvl_last_error(void);

/* ---- stopping ---------------------------------------------------------------------------- */

/* A flag that stops work from another thread: within one layer of encoding or one token. */
typedef struct crispvl_cancel crispvl_cancel;

CRISPVL_API crispvl_status crispvl_cancel_new(crispvl_cancel** out);
CRISPVL_API void crispvl_cancel_free(crispvl_cancel* cancel);

/* Stops every call that was given this flag, now and until the reset. Allowed in signal handlers.
 */
CRISPVL_API void crispvl_cancel_request(crispvl_cancel* cancel);

CRISPVL_API void crispvl_cancel_reset(crispvl_cancel* cancel);

/* ---- models ------------------------------------------------------------------------------ */

/* Weights, tokenizer and the device they are on. Immutable. */
typedef struct crispvl_model crispvl_model;

typedef struct crispvl_load_params {
    size_t struct_size; /* set by crispvl_load_params_init */
    const char* path;   /* GGUF file: single, or the text model of a pair */
    const char* mmproj; /* GGUF file with the pair's projector; NULL for a single file */
    const void* data;   /* instead of path: the file's bytes, copied; NULL for a path */
    size_t n_data_bytes;
    const void* mmproj_data; /* instead of mmproj, with data */
    size_t n_mmproj_data_bytes;
    const char* device; /* "auto" (default), "cpu", "cuda", "cuda:1", "metal", "vulkan" ... */
    int32_t n_threads;  /* CPU threads; 0 (default): one per core that the process may use */
    int32_t vocab_only; /* 1: tokenizer only, no weights are needed; default 0 */
    int32_t exact;      /* 1: float32 throughout (CUDA: TF32), for comparisons; default 0 */
    int32_t no_mmap;    /* 1: files are copied, and may change or be deleted later; default 0 */
} crispvl_load_params;

/* Fills in defaults; `struct_size` is sizeof(crispvl_load_params). */
CRISPVL_API void crispvl_load_params_init(crispvl_load_params* params, size_t struct_size);

CRISPVL_API crispvl_status crispvl_model_load(const crispvl_load_params* params,
                                              crispvl_model** out);
CRISPVL_API void crispvl_model_free(crispvl_model* model);

typedef struct crispvl_model_info {
    const char* name;   /* of the model, from its file; "" if it has none */
    const char* device; /* where it runs, such as "CPU" or "CUDA0"; "" with vocab_only */
    int32_t n_threads;  /* CPU threads; 0 with vocab_only */
    int32_t vocab_size; /* tokens of the tokenizer */
    /* From here on 0 for a model loaded with vocab_only: */
    int32_t n_logits;             /* logits per token; may exceed vocab_size (padding) */
    int32_t context_length;       /* most positions of a session: a token has one, or less */
    int32_t tile_px;              /* edge of a tile */
    int32_t tokens_per_tile;      /* image tokens of a tile */
    int32_t width;                /* values of an image token */
    int32_t min_tiles, max_tiles; /* per image, without the thumbnail */
    int32_t image_start_id, image_end_id, image_context_id; /* special tokens */
    uint64_t weight_bytes;
} crispvl_model_info;

/* `struct_size` is sizeof(crispvl_model_info). The strings live as long as the model. */
CRISPVL_API crispvl_status crispvl_model_get_info(const crispvl_model* model,
                                                  crispvl_model_info* info, size_t struct_size);

/* ---- images and messages ----------------------------------------------------------------- */

typedef enum crispvl_image_format {
    CRISPVL_IMAGE_ENCODED = 0, /* a whole file: JPEG, PNG, GIF (first frame), BMP or PNM */
    CRISPVL_IMAGE_GREY8 = 1,
    CRISPVL_IMAGE_RGB8 = 2,
    CRISPVL_IMAGE_RGBA8 = 3, /* straight alpha; shown on white, or where that hides
                                letters on black or grey, as encoded images are */
    CRISPVL_IMAGE_BGR8 = 4,
    CRISPVL_IMAGE_BGRA8 = 5
} crispvl_image_format;

/* An image, one of: a file by its `path`; a file's bytes in `data`, of `n_bytes`; or pixels in
 * `data`, rows from the top, with `format` and sizes. Zero what you do not use. Encoded
 * images are turned upright as EXIF says, their pixels are made square as their resolution says,
 * and 10 to 16 bits are scaled by the range that they use. At least 8 px a side, at most 200:1, and
 * 178956970 pixels. */
typedef struct crispvl_image {
    const char* path;
    const void* data;
    size_t n_bytes; /* of data: the file's length, or at least stride_bytes * height_px */
    crispvl_image_format format;
    int32_t width_px, height_px;
    size_t stride_bytes; /* from one row to the next; 0: rows have no gaps between */
} crispvl_image;

/* A piece of a message: a text, or an image; the other one is NULL. */
typedef struct crispvl_part {
    const char* text;
    const crispvl_image* image;
} crispvl_part;

typedef struct crispvl_message {
    const char* role; /* "user", "assistant", or, first only, "system" */
    const crispvl_part* parts;
    size_t n_parts;
} crispvl_message;

/* ---- reading ----------------------------------------------------------------------------- */

typedef enum crispvl_task { CRISPVL_TASK_TEXT = 0, CRISPVL_TASK_MARKDOWN = 1 } crispvl_task;

/* How a page is shown to the model. The bundled model was made for lines, published ones for the
 * page as a whole. */
typedef enum crispvl_layout {
    CRISPVL_LAYOUT_DEFAULT = 0, /* as the model's file says; `page` if it does not, or if there is a
                                   `prompt` */
    CRISPVL_LAYOUT_PAGE = 1,    /* one grid of tiles and one answer: the published rule */
    CRISPVL_LAYOUT_LINES = 2,   /* its lines are found and read separately, many at a time; the
                                   result has the position of each line and word */
    CRISPVL_LAYOUT_AUTO = 3,    /* as suits the page and the model best: `page` if there is a
                                   `prompt`, `lines` if the model was made for them; otherwise
                                   `page` if the print is large enough on the model's tiles, or
                                   else `blocks` */
    CRISPVL_LAYOUT_BLOCKS = 4 /* if the print is too small, the page is cut at its white space, and
                                 each block is read separately */
} crispvl_layout;

/* One generated token. `text` is what it completes: "" for special tokens and inside a character of
 * several tokens. The end of a text that breaks off inside a character has id -1. So has all text
 * of a page that is read by lines, in reading order, as soon as it is final; and that of a page
 * that is read by blocks, a block at a time. */
typedef struct crispvl_token {
    int32_t id;
    float logprob;
    const char* text; /* valid during the callback */
} crispvl_token;

/* Returns 0 to continue. Any other value ends the answer: the call succeeds, with the text so far
 * and CRISPVL_FINISH_CANCELLED. */
typedef int32_t (*crispvl_token_callback)(const crispvl_token* token, void* user_data);

/* Called as tiles are encoded. For a page that is read by lines, it is called as tiles of lines are
 * read, and the count starts again from 1 for those that are read again; by blocks, after each
 * block. */
typedef void (*crispvl_progress_callback)(int32_t n_tiles_done, int32_t n_tiles, void* user_data);

typedef struct crispvl_recognize_params {
    size_t struct_size;         /* set by crispvl_recognize_params_init */
    const char* prompt;         /* NULL (default): the prompt for `task` the model was trained on */
    crispvl_task task;          /* default CRISPVL_TASK_TEXT */
    int32_t max_tiles;          /* most tiles per image; 0 (default): the model's number */
    int32_t min_tiles;          /* fewest tiles per image; 0 (default): the model's number */
    int32_t max_tokens;         /* most tokens to generate; 0 (default): 2048, and by lines as many
                                   as the page takes */
    int32_t ignore_stop_tokens; /* 1: continue to max_tokens, but not by lines; default 0 */
    float temperature;          /* 0 (default): always the likeliest token */
    int32_t top_k;              /* sample among the k likeliest; 0 (default): among all */
    float top_p;                /* among the likeliest that add up to this; default 1 */
    float min_p; /* drop what is less likely than this times the likeliest; default 0 */
    float repetition_penalty;  /* divides the odds of tokens used before; default 1: off */
    int32_t repetition_window; /* how many tokens it looks back; 0 (default): all generated */
    uint64_t seed;             /* of the sampler; default 0 */
    const crispvl_cancel* cancel;
    crispvl_token_callback on_token;
    crispvl_progress_callback on_progress;
    void* user_data;       /* passed to both callbacks */
    crispvl_layout layout; /* default CRISPVL_LAYOUT_DEFAULT; lines take no `prompt` */
} crispvl_recognize_params;

/* Fills in defaults; `struct_size` is sizeof(crispvl_recognize_params). */
CRISPVL_API void crispvl_recognize_params_init(crispvl_recognize_params* params,
                                               size_t struct_size);

typedef struct crispvl_result crispvl_result;

/* Reads one image. `params` may be NULL for defaults. If the call is cancelled, `*out` is what was
 * generated before that (to be freed as well), or NULL. */
CRISPVL_API crispvl_status crispvl_recognize(const crispvl_model* model, const crispvl_image* image,
                                             const crispvl_recognize_params* params,
                                             crispvl_result** out);

/* Answers a conversation with any number of images or none; `prompt`, `task` and `layout` are not
 * used. The model's conversation format is the one that its file names (crispvl.chat.template).
 * Jinja templates are not evaluated: a file that has nothing else is prompted in ChatML as
 * InternVL's `-hf` templates write it, if its vocabulary has "<|im_start|>". Special tokens in a
 * message's text are treated as plain text. */
CRISPVL_API crispvl_status crispvl_chat(const crispvl_model* model, const crispvl_message* messages,
                                        size_t n_messages, const crispvl_recognize_params* params,
                                        crispvl_result** out);

typedef enum crispvl_finish {
    CRISPVL_FINISH_STOP = 0,     /* the model ended its answer */
    CRISPVL_FINISH_LENGTH = 1,   /* max_tokens or the context was used up */
    CRISPVL_FINISH_CANCELLED = 2 /* a callback or a crispvl_cancel ended it */
} crispvl_finish;

typedef struct crispvl_result_info {
    crispvl_finish finish;
    int32_t n_tokens; /* generated, without the one that ended the answer */
    int32_t n_prompt_tokens;
    int32_t n_tiles;             /* encoded, thumbnails included */
    int32_t width_px, height_px; /* of the only image, upright; 0 unless there is just one */
    int32_t n_columns, n_rows;   /* of its grid of tiles; 0 by lines and by blocks */
    float confidence;      /* geometric mean of the tokens' probabilities, the end's included */
    float stop_logprob;    /* of the token that ended the answer; NaN if none did */
    double image_ms;       /* decoding and tiling */
    double encode_ms;      /* vision encoder and projector */
    double prefill_ms;     /* the prompt's pass through the decoder */
    double decode_ms;      /* all generated tokens */
    int32_t damaged;       /* 1: an image's data is damaged; what could be decoded was read */
    crispvl_layout layout; /* how it was read: CRISPVL_LAYOUT_PAGE, LINES or BLOCKS */
    size_t n_lines;        /* of a page that was read by lines */
    size_t n_words;        /* the same */
    int32_t unread_ink;    /* 1: there is ink on the page, and no text was read */
} crispvl_result_info;

/* The text, without special tokens. NULL for NULL. */
CRISPVL_API const char* crispvl_result_text(const crispvl_result* result);

/* The generated tokens and their log-probabilities under the model's own distribution, n_tokens of
 * each; by lines, those of all lines one after the other. NULL for NULL. */
CRISPVL_API const int32_t* crispvl_result_ids(const crispvl_result* result);
CRISPVL_API const float* crispvl_result_logprobs(const crispvl_result* result);

/* `struct_size` is sizeof(crispvl_result_info). */
CRISPVL_API crispvl_status crispvl_result_get_info(const crispvl_result* result,
                                                   crispvl_result_info* info, size_t struct_size);

/* A line or a word of a page that was read by lines. Lines come in reading order, words as the text
 * has them: from left to right or from right to left. */
typedef struct crispvl_text_part {
    const char* text;    /* lives as long as the result */
    size_t start_bytes;  /* where it begins in crispvl_result_text */
    float quad_px[4][2]; /* x, y of its ink's corners on the upright page, clockwise from the text's
                            own top left: an upright rectangle only if the text is upright */
    float confidence;    /* of a line, the geometric mean over its characters; of a word, the
                            probability of its least likely token */
    int32_t block;       /* which paragraph, column or table of the page it belongs to, from 0 */
    size_t i_line;       /* its line's number, or its own */
    size_t i_first_word; /* of a line, its words are these n_words; of a word, itself */
    size_t n_words;      /* 1 for a word */
} crispvl_text_part;

/* Line `i` of info.n_lines, or word `i` of info.n_words. `struct_size` is
 * sizeof(crispvl_text_part). Only a page that was read by lines has any, since otherwise the model
 * gives no positions; a number beyond the last is CRISPVL_ERROR_ARGUMENT. */
CRISPVL_API crispvl_status crispvl_result_get_line(const crispvl_result* result, size_t i,
                                                   crispvl_text_part* line, size_t struct_size);
CRISPVL_API crispvl_status crispvl_result_get_word(const crispvl_result* result, size_t i,
                                                   crispvl_text_part* word, size_t struct_size);

CRISPVL_API void crispvl_result_free(crispvl_result* result);

/* ---- the low level ----------------------------------------------------------------------- */

/* Functions below that fill an array take its capacity and set a count. With a NULL array they only
 * count; if the array is too small, they write nothing and return CRISPVL_ERROR_BUFFER. Ids are
 * checked: those of no token of the model are CRISPVL_ERROR_ARGUMENT. */

/* The ids of a text; no BOS is added. `parse_special` 1: "<img>" and the like become one token. */
CRISPVL_API crispvl_status crispvl_tokenize(const crispvl_model* model, const char* text,
                                            int32_t parse_special, int32_t* ids, size_t capacity,
                                            size_t* n_ids);

/* The text of ids, special tokens included; `capacity` counts the final NUL, `*n_bytes` does not.
 */
CRISPVL_API crispvl_status crispvl_detokenize(const crispvl_model* model, const int32_t* ids,
                                              size_t n_ids, char* text, size_t capacity,
                                              size_t* n_bytes);

/* The ids of a conversation in the model's format, as crispvl_chat makes them. Images are not
 * opened: `n_tiles` gives the number of tiles of each, in order. */
CRISPVL_API crispvl_status crispvl_build_prompt(const crispvl_model* model,
                                                const crispvl_message* messages, size_t n_messages,
                                                const int32_t* n_tiles, size_t n_images,
                                                int32_t* ids, size_t capacity, size_t* n_ids);

/* Cuts an image into tiles as the only one of its prompt, uint8 RGB
 * [n_tiles, tile_px, tile_px, 3], thumbnail last. 0 for `max_tiles` or `min_tiles` stands for the
 * model's number. `capacity_bytes` is the size of `tiles`. */
CRISPVL_API crispvl_status crispvl_tile_image(const crispvl_model* model,
                                              const crispvl_image* image, int32_t min_tiles,
                                              int32_t max_tiles, uint8_t* tiles,
                                              size_t capacity_bytes, size_t* n_tiles);

/* Image tokens of tiles: `embeddings` is [n_tiles, tokens_per_tile, width], `capacity` floats. */
CRISPVL_API crispvl_status crispvl_encode(const crispvl_model* model, const uint8_t* tiles,
                                          size_t n_tiles, const crispvl_cancel* cancel,
                                          float* embeddings, size_t capacity);

/* One sequence and its KV cache. */
typedef struct crispvl_session crispvl_session;

/* `n_ctx`: tokens that the cache holds, at most the model's context_length. */
CRISPVL_API crispvl_status crispvl_session_new(const crispvl_model* model, int32_t n_ctx,
                                               crispvl_session** out);
CRISPVL_API void crispvl_session_free(crispvl_session* session);

/* Appends tokens. Each that is image_context_id takes the next of `n_rows` rows of `embeddings`
 * [n_rows, width]; without embeddings (NULL, 0) they are tokens like any other. */
CRISPVL_API crispvl_status crispvl_session_prefill(crispvl_session* session, const int32_t* ids,
                                                   size_t n_ids, const float* embeddings,
                                                   size_t n_rows, const crispvl_cancel* cancel);

/* Appends one token. */
CRISPVL_API crispvl_status crispvl_session_decode(crispvl_session* session, int32_t id,
                                                  const crispvl_cancel* cancel);

/* The logits after the last token, info.n_logits of them; NULL before the first prefill and after a
 * rewind, until the next token. Valid until the session is used again. */
CRISPVL_API const float* crispvl_session_logits(const crispvl_session* session);

/* Tokens in the cache; 0 for NULL. */
CRISPVL_API int32_t crispvl_session_n_past(const crispvl_session* session);

/* Forgets all but the first `n_past` tokens. */
CRISPVL_API crispvl_status crispvl_session_rewind(crispvl_session* session, int32_t n_past);

/* Chooses tokens; it keeps its random state and what it has chosen. */
typedef struct crispvl_sampler crispvl_sampler;

/* Reads the sampling fields of `params`, temperature to seed; NULL: greedy. */
CRISPVL_API crispvl_status crispvl_sampler_new(const crispvl_recognize_params* params,
                                               crispvl_sampler** out);
CRISPVL_API void crispvl_sampler_free(crispvl_sampler* sampler);

/* Chooses the next token from a session's logits; does not append it. `logprob` may be NULL. */
CRISPVL_API crispvl_status crispvl_sample(crispvl_sampler* sampler, const crispvl_session* session,
                                          int32_t* id, float* logprob);

#ifdef __cplusplus
}
#endif

#endif /* CRISPVL_H */
