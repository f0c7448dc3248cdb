"""What each knob does, in one sentence and its equation: for those who point at it."""

KNOBS = {
    "tau_mem": "Membrane time constant: how slowly the voltage forgets. "
    "v <- v_rest + (v - v_rest) e^(-dt/tau_mem) + (1 - e^(-dt/tau_mem)) r I; of a readout: v <- v e^(-dt/tau_mem) + I",
    "tau_syn": "Synaptic time constant: how long the current of a spike lasts. "
    "g <- g e^(-dt/tau_syn) + weights * spikes",
    "tau_ref": "Refractory time: a neuron that has spiked holds its voltage for so long.",
    "v_th": "Threshold: a neuron spikes when its voltage reaches it. s = H(v - v_th)",
    "v_reset": "Voltage that a spike resets to: v <- v_reset, or by subtraction v <- v - (v_th - v_reset).",
    "v_rest": "Resting voltage: where the voltage decays to without input.",
    "slope": "Slope of the surrogate: in the backward pass h(slope (v - v_th)) replaces the derivative of the step. "
    "The larger it is, the narrower is the range of voltages around the threshold that can learn.",
    "r": "Membrane resistance: the gain of the current. v <- ... + (1 - e^(-dt/tau_mem)) r I",
    "l1": "Weight of the L1 penalty in the loss: l1 times the number of spikes.",
    "l2": "Weight of the L2 penalty in the loss: l2 times the mean over neurons of (spikes of a neuron)^2.",
    "learning_rate": "Step size of the optimizer: too small learns slowly, too large diverges.",
}


def help_of(name: str) -> str:
    """Explain a knob, or repeat its full name.

    Example:
        >>> help_of("hidden.v_th")
        'hidden.v_th. Threshold: a neuron spikes when its voltage reaches it. s = H(v - v_th)'
        >>> help_of("my_own")
        'my_own'
    """
    words = KNOBS.get(name.rpartition(".")[2])
    return name if words is None else f"{name}. {words}"
