// The native layer: see carafe_openvino.h for what it promises.
//
// It knows OpenVINO and nothing of Carafe: no roles, no bounds, no tokens. Those are checked in
// Rust before anything comes here.

#include "carafe_openvino.h"

#include <dlfcn.h>
#include <malloc.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <openvino/core/version.hpp>
#include <openvino/openvino.hpp>
#include <openvino/pass/manager.hpp>
#include <openvino/pass/sdpa_to_paged_attention.hpp>

#define CARAFE_API extern "C" __attribute__((visibility("default")))

namespace {

const char *const DEVICE = "CPU";
const char *const KEY_CACHE = "key_cache.";
const char *const VALUE_CACHE = "value_cache.";
// Cache lines: OpenVINO's vector instructions want no more.
constexpr size_t ALIGNMENT = 64;

// What is answered where memory for an error's text is missing; never freed.
char OUT_OF_MEMORY[] = "out of memory";

char *copy(const std::string &text) {
    char *copied = static_cast<char *>(std::malloc(text.size() + 1));
    if (copied != nullptr) {
        std::memcpy(copied, text.c_str(), text.size() + 1);
    }
    return copied;
}

char *copy_or_throw(const std::string &text) {
    char *copied = copy(text);
    if (copied == nullptr) {
        throw std::bad_alloc();
    }
    return copied;
}

// Runs a function's body; what it throws becomes a text.
template <typename Body>
char *guarded(Body body) noexcept {
    try {
        body();
        return nullptr;
    } catch (const std::exception &error) {
        char *text = copy(error.what());
        return text == nullptr ? OUT_OF_MEMORY : text;
    } catch (...) {
        char *text = copy("an exception of an unknown kind");
        return text == nullptr ? OUT_OF_MEMORY : text;
    }
}

// One core for the process: it is never destroyed, since graphs and plugin threads may outlive any
// order of destruction at exit.
ov::Core &core() {
    static ov::Core *core = new ov::Core();
    return *core;
}

template <size_t SIZE>
void copy_name(const std::string &name, char (&into)[SIZE]) {
    if (name.size() >= SIZE) {
        throw std::length_error("the element type's name `" + name + "` is too long");
    }
    std::memcpy(into, name.c_str(), name.size() + 1);
}

void copy_dims(const ov::PartialShape &shape, int64_t &rank, int64_t (&dims)[CARAFE_MAX_RANK]) {
    rank = -1;
    if (shape.rank().is_dynamic()) {
        return;
    }
    if (shape.size() > CARAFE_MAX_RANK) {
        throw std::length_error("a tensor of " + std::to_string(shape.size()) + " dimensions is too deep");
    }
    rank = static_cast<int64_t>(shape.size());
    for (size_t axis = 0; axis < shape.size(); ++axis) {
        dims[axis] = shape[axis].is_dynamic() ? -1 : shape[axis].get_length();
    }
}

bool begins_with(const std::string &text, const char *beginning) {
    return text.compare(0, std::strlen(beginning), beginning) == 0;
}

bool is_cache(const std::string &name) {
    return begins_with(name, KEY_CACHE) || begins_with(name, VALUE_CACHE);
}

template <typename Ports>
size_t index_of(const Ports &ports, const char *name) {
    for (size_t index = 0; index < ports.size(); ++index) {
        const auto &names = ports[index].get_names();
        if (names.count(name) != 0) {
            return index;
        }
    }
    throw std::out_of_range(std::string("no port `") + name + "`");
}

// Memory that the kernel zeroes page by page when it is first touched.
class Zeroed {
public:
    explicit Zeroed(size_t size) : size_(size) {
        if (size_ == 0) {
            return;
        }
        void *mapped = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (mapped == MAP_FAILED) {
            throw std::runtime_error("no " + std::to_string(size_) + " bytes of memory for the KV cache");
        }
        begin_ = static_cast<char *>(mapped);
    }
    Zeroed(const Zeroed &) = delete;
    Zeroed &operator=(const Zeroed &) = delete;
    ~Zeroed() {
        if (begin_ != nullptr) {
            ::munmap(begin_, size_);
        }
    }
    char *begin() const { return begin_; }

private:
    size_t size_;
    char *begin_ = nullptr;
};

size_t padded(size_t bytes) { return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT; }

// Bytes of one tensor of these dimensions, checked.
size_t bytes_of(const ov::element::Type &element, const ov::Shape &shape) {
    size_t bits = element.bitwidth();
    for (size_t dim : shape) {
        if (__builtin_mul_overflow(bits, dim, &bits)) {
            throw std::length_error("a KV cache of that size passes 64 bits");
        }
    }
    return (bits + 7) / 8;
}

// The shape of a cache of this many blocks: the compiled graph leaves only their number open.
ov::Shape cache_shape(const ov::Output<const ov::Node> &port, uint64_t blocks) {
    const ov::PartialShape &shape = port.get_partial_shape();
    if (shape.rank().is_dynamic() || shape.size() != 4) {
        throw std::runtime_error("the cache `" + port.get_any_name() + "` does not have four dimensions");
    }
    ov::Shape sizes{blocks};
    for (size_t axis = 1; axis < shape.size(); ++axis) {
        sizes.push_back(static_cast<size_t>(shape[axis].get_length()));
    }
    return sizes;
}

} // namespace

struct carafe_model {
    std::shared_ptr<ov::Model> model;
};

struct carafe_graph {
    ov::CompiledModel compiled;
    std::vector<ov::Output<const ov::Node>> inputs;
    std::vector<ov::Output<const ov::Node>> outputs;
};

struct carafe_request {
    // Before the request, so that it is unmapped after it.
    std::unique_ptr<Zeroed> cache;
    ov::InferRequest request;
    std::vector<ov::Output<const ov::Node>> inputs;
    std::vector<ov::Output<const ov::Node>> outputs;
    // The tensors of the inputs, kept from one inference to the next.
    std::vector<ov::Tensor> tensors;
};

namespace {

void bind_cache(carafe_request &request, uint64_t blocks) {
    size_t total = 0;
    for (const auto &port : request.inputs) {
        if (is_cache(port.get_any_name())) {
            total += padded(bytes_of(port.get_element_type(), cache_shape(port, blocks)));
        }
    }
    if ((total == 0) != (blocks == 0)) {
        throw std::runtime_error("a KV cache is for paged graphs, and a paged graph needs one");
    }
    request.cache = std::make_unique<Zeroed>(total);
    char *next = request.cache->begin();
    for (const auto &port : request.inputs) {
        if (is_cache(port.get_any_name())) {
            const ov::Shape shape = cache_shape(port, blocks);
            request.request.set_tensor(port, ov::Tensor(port.get_element_type(), shape, next));
            next += padded(bytes_of(port.get_element_type(), shape));
        }
    }
}

// Copies an input into the request's own tensor, which is made anew only where it must grow.
void bind(carafe_request &request, const carafe_input &input) {
    const auto &port = request.inputs.at(input.port);
    const ov::Shape shape(input.dims, input.dims + input.rank);
    ov::Tensor &tensor = request.tensors.at(input.port);
    if (tensor && tensor.get_shape().size() == shape.size()) {
        tensor.set_shape(shape);
    } else {
        tensor = ov::Tensor(port.get_element_type(), shape);
    }
    if (tensor.get_byte_size() != input.bytes) {
        throw std::length_error("`" + port.get_any_name() + "` needs " + std::to_string(tensor.get_byte_size()) +
                                " bytes, and " + std::to_string(input.bytes) + " were given");
    }
    std::memcpy(tensor.data(), input.data, input.bytes);
    request.request.set_tensor(port, tensor);
}

} // namespace

CARAFE_API uint32_t carafe_abi(size_t port, size_t input, size_t output, size_t cache, size_t property) {
    const bool same = port == sizeof(carafe_port) && input == sizeof(carafe_input) && output == sizeof(carafe_output) &&
                      cache == sizeof(carafe_cache) && property == sizeof(carafe_property);
    return same ? CARAFE_ABI : 0;
}

CARAFE_API char *carafe_versions(char **compiled, char **running, char **library) {
    return guarded([&] {
        Dl_info place{};
        if (::dladdr(reinterpret_cast<void *>(&ov::get_openvino_version), &place) == 0) {
            throw std::runtime_error("the loader does not know where OpenVINO was loaded from");
        }
        *library = copy_or_throw(place.dli_fname);
        const std::string version = std::to_string(OPENVINO_VERSION_MAJOR) + "." +
                                    std::to_string(OPENVINO_VERSION_MINOR) + "." +
                                    std::to_string(OPENVINO_VERSION_PATCH);
        *compiled = copy_or_throw(version);
        *running = copy_or_throw(ov::get_openvino_version().buildNumber);
    });
}

CARAFE_API char *carafe_model_read(const char *xml, const char *bin, carafe_model **model) {
    return guarded([&] { *model = new carafe_model{core().read_model(xml, bin)}; });
}

CARAFE_API char *carafe_model_page(carafe_model *model) {
    return guarded([&] {
        ov::pass::Manager passes;
        passes.register_pass<ov::pass::SDPAToPagedAttention>();
        passes.run_passes(model->model);
        model->model->validate_nodes_and_infer_types();
        const auto inputs = model->model->inputs();
        const auto paged = [](const ov::Output<ov::Node> &input) { return is_cache(input.get_any_name()); };
        if (std::none_of(inputs.begin(), inputs.end(), paged)) {
            throw std::runtime_error("no attention over a KV cache was found that could be paged");
        }
    });
}

CARAFE_API char *carafe_model_compile(carafe_model *model, const carafe_property *properties, size_t count,
                                      carafe_graph **graph) {
    return guarded([&] {
        ov::AnyMap map;
        for (size_t index = 0; index < count; ++index) {
            map[properties[index].key] = std::string(properties[index].value);
        }
        ov::CompiledModel compiled = core().compile_model(model->model, DEVICE, map);
        auto inputs = compiled.inputs();
        auto outputs = compiled.outputs();
        *graph = new carafe_graph{std::move(compiled), std::move(inputs), std::move(outputs)};
    });
}

CARAFE_API void carafe_model_free(carafe_model *model) { delete model; }

CARAFE_API char *carafe_model_ports(const carafe_model *model, int output, size_t *count) {
    return guarded([&] { *count = (output != 0 ? model->model->outputs() : model->model->inputs()).size(); });
}

CARAFE_API char *carafe_model_port(const carafe_model *model, int output, size_t index, carafe_port *port) {
    return guarded([&] {
        const auto node = output != 0 ? model->model->output(index) : model->model->input(index);
        copy_name(node.get_element_type().get_type_name(), port->element);
        copy_dims(node.get_partial_shape(), port->rank, port->dims);
        port->name = copy_or_throw(node.get_names().empty() ? std::string() : node.get_any_name());
    });
}

CARAFE_API char *carafe_graph_input(const carafe_graph *graph, const char *name, size_t *port) {
    return guarded([&] { *port = index_of(graph->inputs, name); });
}

CARAFE_API char *carafe_graph_output(const carafe_graph *graph, const char *name, size_t *port) {
    return guarded([&] { *port = index_of(graph->outputs, name); });
}

CARAFE_API char *carafe_graph_property(const carafe_graph *graph, const char *key, char **value) {
    return guarded([&] { *value = copy_or_throw(graph->compiled.get_property(key).as<std::string>()); });
}

CARAFE_API char *carafe_graph_cache(const carafe_graph *graph, carafe_cache *cache) {
    return guarded([&] {
        *cache = carafe_cache{};
        for (const auto &port : graph->inputs) {
            const std::string name = port.get_any_name();
            if (!is_cache(name)) {
                continue;
            }
            const ov::Shape shape = cache_shape(port, 1);
            cache->block_bytes += bytes_of(port.get_element_type(), shape);
            if (begins_with(name, VALUE_CACHE)) {
                // Keys quantised by channel have further rows in a block, values have none.
                cache->block_size = shape[2];
                copy_name(port.get_element_type().get_type_name(), cache->value_element);
            } else {
                cache->layers += 1;
                copy_name(port.get_element_type().get_type_name(), cache->key_element);
            }
        }
    });
}

CARAFE_API void carafe_graph_free(carafe_graph *graph) { delete graph; }

CARAFE_API char *carafe_request_new(const carafe_graph *graph, uint64_t blocks, carafe_request **request) {
    return guarded([&] {
        auto made = std::make_unique<carafe_request>();
        // `create_infer_request` is not `const`, but a compiled model may be shared; a copy is a
        // reference.
        ov::CompiledModel compiled = graph->compiled;
        made->request = compiled.create_infer_request();
        made->inputs = graph->inputs;
        made->outputs = graph->outputs;
        made->tensors.resize(made->inputs.size());
        bind_cache(*made, blocks);
        *request = made.release();
    });
}

CARAFE_API char *carafe_request_infer(carafe_request *request, const carafe_input *inputs, size_t count) {
    return guarded([&] {
        for (size_t index = 0; index < count; ++index) {
            bind(*request, inputs[index]);
        }
        request->request.infer();
    });
}

CARAFE_API char *carafe_request_output(carafe_request *request, size_t port, carafe_output *output) {
    return guarded([&] {
        const ov::Tensor tensor = request->request.get_tensor(request->outputs.at(port));
        copy_name(tensor.get_element_type().get_type_name(), output->element);
        copy_dims(tensor.get_shape(), output->rank, output->dims);
        output->data = tensor.data();
        output->bytes = tensor.get_byte_size();
    });
}

CARAFE_API void carafe_request_free(carafe_request *request) {
    delete request;
    // Requests end seldom: after a graph's first inference, which packs its weights anew, and with
    // a guest. Compiling and packing leave tens of MiB in the allocator that nothing else asks for.
    ::malloc_trim(0);
}

CARAFE_API void carafe_free(char *text) {
    if (text != OUT_OF_MEMORY) {
        std::free(text);
    }
}
