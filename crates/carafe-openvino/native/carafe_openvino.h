/* The native layer of carafe-openvino: what Carafe needs of OpenVINO, as a C interface.
 *
 * OpenVINO's own C interface has no passes, and sets properties for a whole core only. The pass that
 * turns a decoder's KV cache into pages is in its public C++ headers, so this layer is C++ behind C:
 *
 *   model     a graph that was read from its files; `carafe_model_page` turns its cache into pages
 *   graph     a model that was compiled, under properties of its own
 *   request   one inference at a time; owns its tensors and its KV cache
 *
 * Rules of the border:
 *   - Every function that can fail returns an error's text, or NULL. The caller frees it with
 *     `carafe_free`. No C++ exception crosses.
 *   - Every text and number that comes back is a copy, but for the bytes of an output, which stand
 *     until the next inference of the request.
 *   - Every tensor that goes in is copied. A request never reads the caller's memory afterwards.
 *   - A handle may be used by one thread at a time; different handles by different threads. Handles
 *     may be freed in any order: each keeps alive what it needs.
 *   - Arguments are trusted: names, sizes and pointers were checked by the caller. */
#ifndef CARAFE_OPENVINO_H
#define CARAFE_OPENVINO_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Changes with every change of this file. */
#define CARAFE_ABI 1

/* The most dimensions of a port. */
#define CARAFE_MAX_RANK 8

typedef struct carafe_model carafe_model;
typedef struct carafe_graph carafe_graph;
typedef struct carafe_request carafe_request;

/* An input or an output. */
typedef struct {
    char *name;                    /* freed by the caller */
    char element[16];              /* OpenVINO's name of the type: `i32` */
    int64_t rank;                  /* -1 where it is open */
    int64_t dims[CARAFE_MAX_RANK]; /* -1 where one is open */
} carafe_port;

/* A tensor for an input. */
typedef struct {
    size_t port; /* the input's index in the compiled graph */
    size_t rank;
    const uint32_t *dims;
    const void *data;
    size_t bytes;
} carafe_input;

/* An output of the latest inference. */
typedef struct {
    char element[16];
    int64_t rank;
    int64_t dims[CARAFE_MAX_RANK];
    const void *data;
    size_t bytes;
} carafe_output;

/* The KV cache of a paged graph. */
typedef struct {
    uint64_t layers;      /* key and value caches, a pair for each */
    uint64_t block_size;  /* tokens of a block */
    uint64_t block_bytes; /* of a block over all layers, keys and values */
    char key_element[16];
    char value_element[16];
} carafe_cache;

/* A name and a value. */
typedef struct {
    const char *key;
    const char *value;
} carafe_property;

/* CARAFE_ABI if the caller's structures have these sizes, else 0. */
uint32_t carafe_abi(size_t port, size_t input, size_t output, size_t cache, size_t property);

/* The OpenVINO that this layer was compiled for (`2026.4.1`), the one that runs (`2026.4.1-…`), and the
 * library file that it runs from. */
char *carafe_versions(char **compiled, char **running, char **library);

char *carafe_model_read(const char *xml, const char *bin, carafe_model **model);
/* Turns the KV cache into pages: see `carafe_cache` and the inputs that come with them. */
char *carafe_model_page(carafe_model *model);
char *carafe_model_compile(carafe_model *model, const carafe_property *properties, size_t count, carafe_graph **graph);
void carafe_model_free(carafe_model *model);

/* Ports of the model as it was read, or as the pass made it. `output`: 0 for inputs, 1 for outputs. */
char *carafe_model_ports(const carafe_model *model, int output, size_t *count);
char *carafe_model_port(const carafe_model *model, int output, size_t index, carafe_port *port);

char *carafe_graph_input(const carafe_graph *graph, const char *name, size_t *port);
char *carafe_graph_output(const carafe_graph *graph, const char *name, size_t *port);
char *carafe_graph_property(const carafe_graph *graph, const char *key, char **value);
char *carafe_graph_cache(const carafe_graph *graph, carafe_cache *cache);
void carafe_graph_free(carafe_graph *graph);

/* A request with a zeroed KV cache of this many blocks; 0 for a graph that is not paged. */
char *carafe_request_new(const carafe_graph *graph, uint64_t blocks, carafe_request **request);
char *carafe_request_infer(carafe_request *request, const carafe_input *inputs, size_t count);
char *carafe_request_output(carafe_request *request, size_t port, carafe_output *output);
void carafe_request_free(carafe_request *request);

/* Frees a text that a function of this layer returned. */
void carafe_free(char *text);

#ifdef __cplusplus
}
#endif

#endif
