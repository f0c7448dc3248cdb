// LIF neurons over whole sequences on an NVIDIA GPU; the equations are those of snnlab.dynamics.lif_step.
//
// A block is one sample and up to 128 neurons; a thread is one neuron from the first step to the last, its state in
// registers. Arrays over time are (time, batch, neuron), so that the threads of a block read and write side by side.
// Every sum has a fixed order and no two threads add to the same number: the same input gives the same bits.
//
// Compiled with --fmad=false: every product and every sum is rounded by itself, as on other devices, or spikes would
// differ. `python -m snnlab.kernels.gpu.cuda.build` makes lif.ptx of this file; tests/kernels/cuda_on_cpu.h lets a C++
// compiler run it on a CPU. After every change of the arguments here, see snnlab/kernels/gpu/fused.py.

#ifndef extern_shared
#define extern_shared(name) extern __shared__ int name[]
#endif

// The entries of `options`, in the order of `fused.Call`.
struct Options {
  int steps, batch, neurons, units;
  int from_events;  // the input is events and weights, or else a current
  int delay;        // steps that an event travels
  int surrogate;    // index in snnlab.surrogate.SURROGATES
  int value_reset, detach_reset, adapts;
  int voltages;            // forward: write voltages, not spikes
  int d_spikes, d_voltages;  // backward: these have a gradient
  int learns;                // backward: gradients of the parameters are wanted
};

// The rows of `params`, in the order of snnlab.kernels.rows, and what follows from them.
struct Neuron {
  float bias, a_syn, a, gain, v_th, v_reset, rho, beta, hold, slope, peak, gap;
};
enum { BIAS, DECAY_SYN, DECAY_MEM, GAIN, V_TH, V_RESET, DECAY_ADAPT, BETA, LEARNED, HOLD = LEARNED, SLOPE, PEAK };

__device__ Neuron neuron_of(const float* params, int width, int n) {
  const float* p = params + n;
  float v_th = p[V_TH * width], v_reset = p[V_RESET * width];
  return {p[BIAS * width], p[DECAY_SYN * width],   p[DECAY_MEM * width], p[GAIN * width], v_th,            v_reset,
          p[DECAY_ADAPT * width], p[BETA * width], p[HOLD * width],      p[SLOPE * width], p[PEAK * width], v_th - v_reset};
}

// ---- What arrives

// The events of one sample in shared memory: units in the order of their steps, and where each step begins.
struct Events {
  int* start;            // steps + 1
  unsigned short* unit;  // units
};

// A thread owns steps and reads the times of all units in their order, which therefore stays within a step. All threads
// read the same word at once, which costs one access.
__device__ Events sort_events(const Options& o, const int* times, int b, int* memory) {
  Events events = {memory, (unsigned short*)(memory + o.steps + 1)};
  unsigned short* when = events.unit + o.units;
  for (int k = threadIdx.x; k < o.units; k += blockDim.x) {
    unsigned t = times[(size_t)b * o.units + k];
    when[k] = t < (unsigned)o.steps && t + o.delay < (unsigned)o.steps ? t + o.delay : o.steps;
  }
  __syncthreads();
  for (int t = threadIdx.x; t <= o.steps; t += blockDim.x) {
    int earlier = 0;
    for (int k = 0; k < o.units; ++k) earlier += when[k] < t;
    events.start[t] = earlier;
    if (t < o.steps)
      for (int k = 0; k < o.units; ++k)
        if (when[k] == t) events.unit[earlier++] = k;
  }
  __syncthreads();
  return events;
}

// What drives one neuron in one sample.
struct Source {
  const float *weights, *current;
  Events events;
  size_t row, column;  // from one step of `current` to the next, and where the neuron stands in a step
  int neurons, n;
};

// The memory behind a pointer is read at the latest in a step; weights come four at a time, to wait only once for them.
__device__ float arriving(const Source& in, int t) {
  if (in.current) return in.current[t * in.row + in.column];
  float x = 0.0f;
  for (int e = in.events.start[t], end = in.events.start[t + 1]; e < end; e += 4) {
    float w[4];
#pragma unroll
    for (int k = 0; k < 4; ++k) w[k] = e + k < end ? in.weights[(size_t)in.events.unit[e + k] * in.neurons + in.n] : 0.0f;
#pragma unroll
    for (int k = 0; k < 4; ++k) x += w[k];
  }
  return x;
}

// ---- One step

struct State {
  float v = 0.0f, g = 0.0f, rise = 0.0f, age = 1e9f;  // age: steps since the last spike; 1e9 + 1 is 1e9
};

struct Step {
  float u, rise;  // the voltage before the reset, and how far the threshold stood above v_th
  bool held, fired;
};

__device__ float after_reset(const Neuron& p, const Options& o, float u, bool fired) {
  return fired ? (o.value_reset ? p.v_reset : u - p.gap) : u;
}

__device__ Step step(const Neuron& p, const Options& o, State& s, float x) {
  s.g = s.g * p.a_syn + (x + p.bias);
  float u = s.v * p.a + p.gain * s.g;
  s.age += 1.0f;
  bool held = s.age <= p.hold;
  if (held) u = s.v;
  bool fired = u >= p.v_th + s.rise;
  Step now = {u, s.rise, held, fired};
  if (fired) s.age = 0.0f;
  s.v = after_reset(p, o, u, fired);
  s.rise = s.rise * p.rho + (fired ? p.beta : 0.0f);
  return now;
}

// ---- The surrogate derivatives, of y = slope x; what is no number stays none

__device__ float or_nan(float y, float value) { return y == y ? value : y; }

__device__ float bell(float y) {
  float q = 1.0f / (1.0f + expf(-y));
  return 4.0f * q * (1.0f - q);
}

__device__ float secant(float y) {
  float size = fabsf(y);
  return 1.0f / (size <= 1.0f ? 1.0f : size);
}

__device__ float multi_gaussian(float y) {  // SIDE_LOBES 0.15, WIDTH_OF_LOBES 6; MULTI_PEAK is 1.15 - 0.05 e^(-1/72)
  const float side = 0.15f / 6.0f, peak = 1.15f - 0.05f * 0.98620712f, width = -0.5f / 36.0f;
  float left = y + 1.0f, right = y - 1.0f;
  float lobes = expf(width * left * left) + expf(width * right * right);
  return (1.15f * expf(-0.5f * y * y) - side * lobes) / peak;
}

__device__ float derivative(float y, int surrogate) {
  float size = fabsf(y), d;
  switch (surrogate) {
    case 0: return d = 1.0f + size, 1.0f / (d * d);                                // inv_square
    case 1: return 1.0f / (1.0f + y * y);                                          // arctan
    case 2: return bell(y);                                                        // sigmoid
    case 3: return d = 1.0f - size, d <= 0.0f ? 0.0f : d;                          // triangular
    case 4: return expf(-0.5f * y * y);                                            // gaussian
    case 5: return expf(-size);                                                    // exponential
    case 6: return or_nan(y, size <= 1.0f ? 1.0f : 0.0f);                          // boxcar
    case 7: return 1.0f / (1.0f + size);                                           // reciprocal
    case 8: return secant(y);                                                      // secant
    case 9: return d = 1.0f + y * y, 1.0f / (d * sqrtf(d));                        // circular
    case 10: return multi_gaussian(y);                                             // multi_gaussian
    case 11: return y >= 0.0f ? 1.0f / (1.0f + y) : bell(4.0f * y);                // s2nn
    case 12: return or_nan(y, size <= 1.0f ? 1.0f : 0.01f);                        // leaky_boxcar
    case 13: return y >= 0.0f ? secant(y) : or_nan(y, 0.0f);                       // log_tailed
    case 14: return or_nan(y, y >= 0.0f ? 1.0f : 0.1f);                            // leaky_relu
    case 15: return d = cosf(y), (2.0f * d * d - 1.0f) * d;                        // square_wave
    default: return or_nan(y, 1.0f);                                               // straight_through
  }
}

// ---- The kernels

// What a thread knows: its neuron, its place in an array (batch, neuron), and what drives it.
struct Thread {
  Options o;
  Source in;
  Neuron p;
  int b, n;
  size_t row, place;
  bool idle;  // it has no neuron, but its block needed it to sort
};

__device__ Thread thread_of(const Options* options, const float* params, const float* weights, const int* times,
                            const float* current, int* memory) {
  Thread me = {*options};
  const Options& o = me.o;
  me.b = blockIdx.x, me.n = blockIdx.y * blockDim.x + threadIdx.x, me.idle = me.n >= o.neurons;
  me.row = (size_t)o.batch * o.neurons, me.place = (size_t)me.b * o.neurons + me.n;
  me.in = {weights, o.from_events ? nullptr : current, {}, me.row, me.place, o.neurons, me.n};
  if (o.from_events) me.in.events = sort_events(o, times, me.b, memory);
  if (!me.idle) me.p = neuron_of(params, o.neurons, me.n);
  return me;
}

// Writes to `out` (time, batch, neuron) the spikes, or the voltages after the reset; to `counts` the number of spikes.
extern "C" __global__ void snnlab_lif(const Options* __restrict__ options, const float* __restrict__ params,
                                      const float* __restrict__ weights, const int* __restrict__ times,
                                      const float* __restrict__ current, float* __restrict__ out,
                                      float* __restrict__ counts) {
  extern_shared(memory);
  const Thread me = thread_of(options, params, weights, times, current, memory);
  if (me.idle) return;
  const Options& o = me.o;
  const Neuron& p = me.p;
  const size_t row = me.row, place = me.place;
  State s;
  float count = 0.0f;
  for (int t = 0; t < o.steps; ++t) {
    Step now = step(p, o, s, arriving(me.in, t));
    float spike = now.fired ? 1.0f : 0.0f;
    count += spike;
    out[t * row + place] = o.voltages ? s.v : spike;
  }
  counts[place] = count;
}

// Computes the voltages again and leaves them in `trace`, which is (1 to 3, time, batch, neuron): voltages before the
// reset, currents if the parameters learn, the rise of the threshold if it adapts. Then walks back. Writes to `d_arriving`
// the gradient of what arrives, to `d_params` (batch, LEARNED, neuron) those of the parameters.
extern "C" __global__ void snnlab_lif_back(const Options* __restrict__ options, const float* __restrict__ params,
                                           const float* __restrict__ weights, const int* __restrict__ times,
                                           const float* __restrict__ current, const float* __restrict__ d_spikes,
                                           const float* __restrict__ d_voltages, const float* __restrict__ d_counts,
                                           float* __restrict__ d_arriving, float* __restrict__ d_params,
                                           float* __restrict__ trace, unsigned char* __restrict__ held) {
  extern_shared(memory);
  const Thread me = thread_of(options, params, weights, times, current, memory);
  if (me.idle) return;
  const Options& o = me.o;
  const Neuron& p = me.p;
  const size_t row = me.row, place = me.place;
  size_t whole = o.steps * row;
  float *currents = trace + whole, *rises = trace + (o.learns ? 2 : 1) * whole;
  State s;
  for (int t = 0; t < o.steps; ++t) {
    size_t at = t * row + place;
    Step now = step(p, o, s, arriving(me.in, t));
    trace[at] = now.u;
    held[at] = now.held;
    if (o.learns) currents[at] = s.g;
    if (o.adapts) rises[at] = now.rise;
  }
  float dv = 0.0f, dg = 0.0f, d_rise = 0.0f, d_count = d_counts[place], d[LEARNED] = {};
  for (int t = o.steps - 1; t >= 0; --t) {
    size_t at = t * row + place;
    float u = trace[at], rise = o.adapts ? rises[at] : 0.0f, x = u - (p.v_th + rise);
    float ds = d_count + p.beta * d_rise + (o.d_spikes ? d_spikes[at] : 0.0f);
    if (o.d_voltages) dv += d_voltages[at];
    bool fired = u >= p.v_th + rise;
    float h = p.peak * derivative(p.slope * x, o.surrogate);
    float kept = o.value_reset && fired ? 0.0f : 1.0f;
    float taken = o.detach_reset ? 0.0f : p.v_reset - (o.value_reset ? u : p.v_th);
    float du = dv * (kept + taken * h) + ds * h, jump = fired ? dv : 0.0f;
    float d_threshold = (ds + dv * taken) * h;  // the threshold is in the spike as the voltage is, but for its sign
    float moved = held[at] ? 0.0f : du;
    dg = dg * p.a_syn + moved * p.gain;
    d_arriving[at] = dg;
    d[BIAS] += dg;
    if (o.learns) {
      float g_before = 0.0f, v_before = 0.0f;
      if (t > 0) {
        float earlier = trace[at - row], threshold = p.v_th + (o.adapts ? rises[at - row] : 0.0f);
        g_before = currents[at - row];
        v_before = after_reset(p, o, earlier, earlier >= threshold);
      }
      d[DECAY_SYN] += dg * g_before;
      d[DECAY_MEM] += moved * v_before;
      d[GAIN] += moved * currents[at];
      d[V_TH] -= d_threshold + (o.value_reset ? 0.0f : jump);
      d[V_RESET] += jump;
      d[DECAY_ADAPT] += d_rise * rise;
      d[BETA] += fired ? d_rise : 0.0f;
    }
    d_rise = d_rise * p.rho - d_threshold;
    dv = held[at] ? du : du * p.a;
  }
#pragma unroll
  for (int k = 0; k < LEARNED; ++k) d_params[((size_t)me.b * LEARNED + k) * o.neurons + me.n] = d[k];
}

// A block is one input unit and up to 128 neurons: adds up, sample by sample, the gradients of what arrived at the
// neurons when the unit fired. Eight samples at a time, to wait only once for them.
extern "C" __global__ void snnlab_weights_back(const Options* __restrict__ options, const int* __restrict__ times,
                                               const float* __restrict__ d_arriving, float* __restrict__ d_weights) {
  const Options& o = *options;
  int unit = blockIdx.x, n = blockIdx.y * blockDim.x + threadIdx.x;
  if (n >= o.neurons) return;
  float sum = 0.0f;
  for (int b = 0; b < o.batch; b += 8) {
    float d[8];
#pragma unroll
    for (int k = 0; k < 8; ++k) {
      unsigned t = b + k < o.batch ? times[(size_t)(b + k) * o.units + unit] : o.steps;
      bool arrives = t < (unsigned)o.steps && t + o.delay < (unsigned)o.steps;
      d[k] = arrives ? d_arriving[((size_t)(t + o.delay) * o.batch + b + k) * o.neurons + n] : 0.0f;
    }
#pragma unroll
    for (int k = 0; k < 8; ++k) sum += d[k];
  }
  d_weights[(size_t)unit * o.neurons + n] = sum;
}
