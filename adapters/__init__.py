"""Turn models, layers, gradients and the machine into records that a writer logs.

    writer.add_records(conv_kernels(model), global_step)

An adapter makes records (`tblog.records`). It never touches a writer, except for a `ParameterWatch` that gets
one. It leaves the model as it was, also if it fails half-way: mode, gradients, hooks, buffers and random
state. The writer's worker thread draws the pictures.

Modules:
    model_summary: the table of layers, parameters and sizes (torchinfo).
    feature_maps: outputs or inputs of layers, captured in a forward pass that runs anyway.
    conv_kernels: the filters of convolutions, with their statistics.
    cam: class activation maps (grad-cam).
    saliency: which input pixels a target depends on.
    activation_maximization: images that excite chosen filters.
    parameters: which layers learn, by norms and defects of parameters, gradients and activations.
    system: processor, memory, GPU, disk and network, and the pace of the training.

Each adapter needs other packages, so this package imports none of them. Import what you need:
`from tblog.adapters.feature_maps import FeatureMaps`.
"""
