/* A libedgetpu without a chip: the real interpreter loads it, hands it `edgetpu-custom-op` and gets answers from it.

   It says what the real one says through the same interface (tensorflow/lite/delegates/external/
   external_delegate_interface.h), and fails in the ways that users report, as the environment variable FAKE_EDGETPU says:
     absent       no device: tflite_plugin_create_delegate returns NULL without a word
     abort        the library ends the process when it is loaded
     hang         the device doesn't answer
     unfit        the process is killed when the library meets a model, as libedgetpu 16.0 does with interpreters from 2.12 on
     ignores      the operation isn't taken over
     unplugged    a run fails
   The structs are those of tensorflow/lite/core/c/common.h since TensorFlow 2.13, as far as they are used here. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef enum { kOk = 0, kError = 1 } Status;
typedef struct { int size; int data[]; } IntArray;
typedef struct Context Context;
typedef struct Delegate Delegate;

typedef struct {
  int type;
  void* data;
  IntArray* dims;
  struct { float scale; int32_t zero_point; } params;
  int allocation_type;
  size_t bytes;
  const void* allocation;
  const char* name;
  Delegate* delegate;
  int buffer_handle;
  _Bool data_is_stale, is_variable;
  struct { int type; void* params; } quantization;
  void* sparsity;
  const IntArray* dims_signature;
} Tensor;

typedef struct {
  IntArray *inputs, *outputs, *intermediates, *temporaries;
  void *user_data, *builtin_data;
  const void* custom_initial_data;
  int custom_initial_data_size;
  Delegate* delegate;
  _Bool might_have_side_effect;
} Node;

typedef struct {
  void* (*init)(Context*, const char*, size_t);
  void (*free)(Context*, void*);
  Status (*prepare)(Context*, Node*);
  Status (*invoke)(Context*, Node*);
  const char* (*profiling_string)(const Context*, const Node*);
  int32_t builtin_code;
  const char* custom_name;
  int version;
  void* registration_external;
  void* (*async_kernel)(Context*, Node*);
  uint64_t inplace_operator;
} Registration;

struct Context {
  size_t tensors_size;
  Status (*get_execution_plan)(Context*, IntArray**);
  Tensor* tensors;
  void* impl;
  Status (*resize_tensor)(Context*, Tensor*, IntArray*);
  void (*report_error)(Context*, const char*, ...);
  Status (*add_tensors)(Context*, int, int*);
  Status (*get_node_and_registration)(Context*, int, Node**, Registration**);
  Status (*replace_node_subsets)(Context*, Registration, const IntArray*, Delegate*);
};

struct Delegate {
  void* data;
  Status (*prepare)(Context*, Delegate*);
  void *copy_from, *copy_to, *free_handle;
  int64_t flags;
  void* opaque_delegate_builder;
};

static int told(const char* what) {
  const char* wanted = getenv("FAKE_EDGETPU");
  return wanted != NULL && strcmp(wanted, what) == 0;
}

static Status kernel_prepare(Context* context, Node* node) { return kOk; }

/* The chip: output i is i plus the sum of all input bytes, modulo 256. */
static Status kernel_invoke(Context* context, Node* node) {
  if (told("unplugged")) {
    context->report_error(context, "USB transfer error 2 [LibUsbDataOutCallback]");
    return kError;
  }
  const Tensor* input = &context->tensors[node->inputs->data[0]];
  Tensor* output = &context->tensors[node->outputs->data[0]];
  uint8_t sum = 0;
  for (size_t i = 0; i < input->bytes; i++) sum += ((uint8_t*)input->data)[i];
  for (size_t i = 0; i < output->bytes; i++) ((uint8_t*)output->data)[i] = (uint8_t)(sum + i);
  return kOk;
}

static Status delegate_prepare(Context* context, Delegate* delegate) {
  if (told("unfit")) *(volatile int*)8 = 0;
  if (told("ignores")) return kOk;
  IntArray* plan;
  if (context->get_execution_plan(context, &plan) != kOk) return kError;
  IntArray* mine = calloc(1, sizeof(IntArray) + sizeof(int) * plan->size);
  for (int i = 0; i < plan->size; i++) {
    Node* node;
    Registration* registration;
    if (context->get_node_and_registration(context, plan->data[i], &node, &registration) != kOk) return kError;
    if (registration->custom_name != NULL && strcmp(registration->custom_name, "edgetpu-custom-op") == 0)
      mine->data[mine->size++] = plan->data[i];
  }
  Registration kernel = {0};
  kernel.prepare = kernel_prepare;
  kernel.invoke = kernel_invoke;
  kernel.custom_name = "EdgeTpuDelegateForCustomOp";
  kernel.version = 1;
  Status status = context->replace_node_subsets(context, kernel, mine, delegate);
  free(mine);
  return status;
}

Delegate* tflite_plugin_create_delegate(char** keys, char** values, size_t count, void (*report)(const char*)) {
  if (told("abort")) {
    fprintf(stderr, "F driver/usb/usb_driver.cc:1148] HandleQueuedBulkIn transfer in failed. USB transfer error 5\n");
    abort();
  }
  if (told("hang")) pause();
  if (told("absent")) return NULL;
  Delegate* delegate = calloc(1, sizeof(Delegate));
  delegate->prepare = delegate_prepare;
  delegate->flags = 1; /* kTfLiteDelegateFlagsAllowDynamicTensors: else the interpreter prepares the operation by itself */
  return delegate;
}

void tflite_plugin_destroy_delegate(Delegate* delegate) { free(delegate); }
