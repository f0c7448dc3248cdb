"""The constants of LIF neurons as the compiled kernels read them: rows of one array, with a value for each neuron."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from snnlab.dynamics import LifParams, approach, decay
from snnlab.kernels.drive import Drive

# Rows (float32): first the learned ones, in the order of their gradients.
# GAIN is (1 - decay) r; voltages are measured from rest. A spike adds BETA to the threshold; DECAY_ADAPT takes it away.
# HOLD, SLOPE (per voltage) and PEAK (of the surrogate derivative) have no gradient.
BIAS, DECAY_SYN, DECAY_MEM, GAIN, V_TH, V_RESET, DECAY_ADAPT, BETA, LEARNED = 0, 1, 2, 3, 4, 5, 6, 7, 8
HOLD, SLOPE, PEAK, NUM_PARAMS = 8, 9, 10, 11

# What a row is where nothing says it: no synapse, no leak, and a threshold that a current of 0 does not reach.
DEFAULT = np.zeros((NUM_PARAMS, 1), np.float32)
DEFAULT[[V_TH, SLOPE, PEAK]] = 1.0


def lif_rows(drive: Drive, params: LifParams, dt: float) -> Float[Array, "params n"]:
    """Make the rows of LIF neurons behind a drive; `v_rest` is not read, voltages are measured from it."""
    rows = {
        DECAY_MEM: decay(params.tau_mem, dt),
        GAIN: approach(params.tau_mem, dt) * params.r,
        V_TH: params.v_th,
        V_RESET: params.v_reset,
        HOLD: params.tau_ref / dt + 1e-3,  # as in `dynamics.lif_step`
        SLOPE: params.slope / params.v_scale,
        PEAK: 1.0 / params.v_scale,
    }
    if params.beta is not None and params.tau_adapt is not None:
        rows |= {DECAY_ADAPT: decay(params.tau_adapt, dt), BETA: params.beta}
    return all_rows(drive, rows, dt)


def all_rows(drive: Drive, rows: dict[int, Array], dt: float) -> Float[Array, "params n"]:
    """Make all rows of some: those of the drive, too, and `DEFAULT` for the others."""
    if drive.bias is not None:
        rows[BIAS] = drive.bias
    if drive.tau_syn is not None:
        rows[DECAY_SYN] = decay(drive.tau_syn, dt)
    n = drive.features if drive.window is None else drive.features // drive.window.pixels  # all pixels share them
    return jnp.concatenate(
        [jnp.broadcast_to(rows[k], (1, n)) if k in rows else DEFAULT[k].repeat(n)[None] for k in range(NUM_PARAMS)]
    )
