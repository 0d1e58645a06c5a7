"""What PyTorch people look at, as records that a writer logs.

    writer.add_records(conv_kernels(model), global_step)

An adapter makes records (`tblog.records`) and never touches a writer, but for a `ParameterWatch` that is
given one. It leaves the model as it was: mode, gradients, hooks, buffers, random state; also when it
fails half-way. Pictures are drawn on the writer's worker thread.

Modules:
    model_summary: the table of layers, parameters and sizes (torchinfo).
    feature_maps: what layers put out, or take in, in a forward pass that runs anyway.
    conv_kernels: the filters of convolutions, with their statistics.
    cam: class activation maps (grad-cam).
    saliency: which input pixels a target depends on.
    activation_maximization: images that excite chosen filters.
    parameters: which layers learn, by the norms and defects of parameters, gradients and activations.
    system: processor, memory, GPU, disk and network, and the pace of the training.

Nothing is imported here, because each adapter needs other packages:
`from tblog.adapters.feature_maps import FeatureMaps`.
"""
