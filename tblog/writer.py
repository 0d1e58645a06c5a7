"""`SummaryWriter`: every kind of summary, in the signatures of both originals."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from tblog._delivery.entries import RunScalar
from tblog._values import arrays
from tblog._values.arguments import (
    check_run,
    frozen,
    plain_domains,
    plain_hparam,
    plain_key,
    tag_list,
    to_float,
    to_int,
)
from tblog._values.checks import plain_text, to_text
from tblog._values.torch_tensors import is_torch_tensor, torch_dtype_name
from tblog.errors import InvalidTypeError, shortened
from tblog.records import (
    AudioRecord,
    CustomScalarsRecord,
    EmbeddingRecord,
    GraphRecord,
    HistogramRecord,
    HparamsRecord,
    ImageRecord,
    MeshRecord,
    PrCurveRecord,
    RawHistogramRecord,
    RawPrCurveRecord,
    Record,
    ScalarRecord,
    TensorRecord,
    TextRecord,
    VideoRecord,
)
from tblog.scalar_writer import ScalarWriter
from tblog.summaries import _call_counts
from tblog.summaries._labels import label_rows, label_texts
from tblog.summaries.histogram import plain_bins, tensorflow_bins
from tblog.summaries.tensor import check_size

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tblog.graph import Source


class SummaryWriter(ScalarWriter):
    """Write TensorBoard event files: a drop-in for torch's and tensorboardX's `SummaryWriter`.

    Every `add_*` takes a snapshot of its value and returns; background threads encode and write.
    Another process can read a number within a second of its call, any other record within a second of its encoding,
    without a flush.

    Args:
        logdir: directory of the event files, or a URL that fsspec or a factory registered with tensorboardX can write
            to (`s3://`, `gs://`). A relative path is resolved now, so a later `os.chdir` has no effect. The default is
            `runs/<date>_<host><comment>`. `log_dir` is torch's name for the same argument.
        comment: appended to the default directory.
        purge_step: cut off the records of earlier files from this step on. They are kept: after a wrong step,
            `python -m tblog.check LOGDIR --restore` restores them.
        max_queue: readable, but without effect; `WriterOptions.max_queue_records` bounds the queue.
        flush_secs: maximum seconds between syncs to stable storage.
        filename_suffix: appended to the event file's name.
        write_to_disk: False checks the arguments of all calls, and writes nothing.
        comet_config: readable, but nothing is sent to Comet.
        options: further options, such as the flavor, that neither original has.
        resume: continue the run in `logdir`. True keeps all its records. A step cuts off the records from that step
            on, as `purge_step` does, in this run and in the runs below that are logged to again. The torn end of a
            killed process is removed. `next_step` is the step to continue with.

    Raises:
        InvalidTypeError: `logdir` is not a path.
        InvalidValueError: `logdir` is a URL that nothing can write to, or another argument is wrong.
        OSError: the directory or the file cannot be created, or the store refuses it.

    Example:
        >>> import numpy as np
        >>> from tblog import SummaryWriter
        >>> with SummaryWriter("runs/first") as writer:
        ...     for step in range(3):
        ...         writer.add_scalar("loss", 1 / (step + 1), step)
        ...     writer.add_histogram("weights", np.linspace(-1, 1, 100), 3)
        >>> writer
        <SummaryWriter 'runs/first' (closed): 4 logged, 4 written>
        >>> with SummaryWriter("runs/first", resume=True) as writer:
        ...     writer.add_scalar("loss", 0.2, writer.next_step)
        >>> writer.next_step
        4
    """

    @property
    def default_bins(self) -> list[float]:
        """Return the edges of TensorFlow's 1,549 histogram bins."""
        return list(tensorflow_bins())

    def add_histogram(
        self,
        tag: str,
        values: Any,
        global_step: Any = None,
        bins: Any = "tensorflow",
        walltime: Any = None,
        max_bins: int | None = None,
    ) -> None:
        """Log the distribution of an array. Values that are not finite are skipped, counted and reported.

        Args:
            tag: names the series.
            values: array of any shape and real dtype, on any device. Where the bins are the default, a large tensor on an
                NVIDIA GPU is counted there, and a large array in memory in the call, by the compiled module.
            global_step: as in `add_scalar`.
            bins: "tensorflow", a name that `numpy.histogram` knows, a number of bins, or edges.
            walltime: seconds since the epoch; now, if None.
            max_bins: merge neighbouring bins until at most this many are left.

        Raises:
            UnsupportedTypeError: the values are not real numbers.
        """
        name = self._name(tag)
        record: Record | None = None
        if isinstance(bins, str) and bins == "tensorflow" and not self._silent:
            if is_torch_tensor(values) and values.is_cuda:
                from tblog.summaries import _gpu_counts

                record = _gpu_counts.counted(name, values, max_bins)
            elif self.options.copy:
                record = _call_counts.counted(name, values, max_bins)
        if record is None:
            snapshot = self._snapshot(values, name, "left out")
            record = HistogramRecord(
                tag=name, values=snapshot, bins=plain_bins(name, bins), max_bins=max_bins
            )
        self._log(record, global_step, walltime)

    def add_histogram_raw(
        self,
        tag: str,
        min: float,  # noqa: A002 - the originals' name
        max: float,  # noqa: A002 - the originals' name
        num: float,
        sum: float,  # noqa: A002 - the originals' name
        sum_squares: float,
        bucket_limits: Any,
        bucket_counts: Any,
        global_step: Any = None,
        walltime: Any = None,
    ) -> None:
        """Log a histogram that the caller counted.

        Args:
            tag: names the series.
            min: smallest value.
            max: largest value.
            num: number of values.
            sum: their sum.
            sum_squares: sum of their squares.
            bucket_limits: upper edge of each bucket.
            bucket_counts: values in each bucket, as many as limits.
            global_step: as in `add_scalar`.
            walltime: seconds since the epoch; now, if None.

        Raises:
            InvalidValueError: there are not as many limits as counts.
        """
        record = RawHistogramRecord(
            tag=self._tag(tag),
            min=self._number(min, tag),
            max=self._number(max, tag),
            num=self._number(num, tag),
            sum=self._number(sum, tag),
            sum_squares=self._number(sum_squares, tag),
            bucket_limits=arrays.to_numpy(self._snapshot(bucket_limits, tag)),
            bucket_counts=arrays.to_numpy(self._snapshot(bucket_counts, tag)),
        )
        self._log(record, global_step, walltime)

    def add_image(
        self,
        tag: str,
        img_tensor: Any,
        global_step: Any = None,
        walltime: Any = None,
        dataformats: str = "CHW",
    ) -> None:
        """Log an image as PNG.

        Args:
            tag: names the series.
            img_tensor: uint8 in [0, 255] or float in [0, 1], with 1, 3 or 4 channels.
            global_step: as in `add_scalar`.
            walltime: seconds since the epoch; now, if None.
            dataformats: what each axis is: "CHW", "HWC", "HW", or with N for a batch.

        Raises:
            InvalidValueError: the shape does not fit `dataformats`.
        """
        name = self._name(tag)
        record = ImageRecord(
            tag=name, image=self._snapshot(img_tensor, name, "zero"), dataformats=dataformats
        )
        self._log(record, global_step, walltime)

    def add_images(
        self,
        tag: str,
        img_tensor: Any,
        global_step: Any = None,
        walltime: Any = None,
        dataformats: str = "NCHW",
    ) -> None:
        """Log a batch of images as one grid.

        Args:
            tag: names the series.
            img_tensor: a batch as in `add_image`, or a list of images of one size, whose axes
                `dataformats` then names without N.
            global_step: as in `add_scalar`.
            walltime: seconds since the epoch; now, if None.
            dataformats: what each axis is: "NCHW" or "NHWC".

        Raises:
            InvalidValueError: the shape does not fit `dataformats`.
        """
        if isinstance(img_tensor, (list, tuple)) and "N" not in (axes := plain_text(dataformats)).upper():
            dataformats = f"N{axes}"
        self.add_image(tag, img_tensor, global_step, walltime, dataformats)

    def add_image_with_boxes(
        self,
        tag: str,
        img_tensor: Any,
        box_tensor: Any,
        global_step: Any = None,
        walltime: Any = None,
        rescale: Any = 1,
        dataformats: str = "CHW",
        labels: Sequence[str] | str | None = None,
    ) -> None:
        """Log an image with boxes drawn on it in red.

        Args:
            tag: names the series.
            img_tensor: as in `add_image`.
            box_tensor: (n, 4) pixels: xmin, ymin, xmax, ymax of each box.
            global_step: as in `add_scalar`.
            walltime: seconds since the epoch; now, if None.
            rescale: factor of both sides. In tensorboardX's signature, this position is
                `dataformats`, so a string counts as that.
            dataformats: what each axis is.
            labels: a text for each box. They are left out if there are more or fewer than boxes.

        Raises:
            InvalidValueError: a shape does not fit.
        """
        if isinstance(rescale, str):
            if not isinstance(dataformats, str) or dataformats != "CHW":
                labels = dataformats  # tensorboardX's next position
            rescale, dataformats = 1, rescale
        labels = [labels] if isinstance(labels, str) else labels
        record = ImageRecord(
            tag=self._tag(tag),
            image=self._snapshot(img_tensor, tag, "zero"),
            dataformats=dataformats,
            rescale=to_float(rescale, f"image {tag!r}: rescale", "a number above 0"),
            boxes=self._snapshot(box_tensor, tag),
            labels=None if labels is None else label_texts(labels, "labels"),
        )
        self._log(record, global_step, walltime)

    def add_figure(
        self,
        tag: str,
        figure: Any,
        global_step: Any = None,
        close: bool = True,
        walltime: Any = None,
    ) -> None:
        """Log a matplotlib figure, or a list of them as one grid. It is drawn in the call.

        Args:
            tag: names the series.
            figure: a `matplotlib.figure.Figure`, or a list of figures of one size.
            global_step: as in `add_scalar`.
            close: close the figure in pyplot.
            walltime: seconds since the epoch; now, if None.
        """
        name = self._name(tag)
        if self._silent:
            from tblog._values.figures import dismiss

            dismiss(figure, close=close)
            return
        from tblog._values.figures import draw

        pixels = draw(figure, close=close)
        dataformats = "HWC" if pixels.ndim == 3 else "NHWC"
        self._log(ImageRecord(tag=name, image=pixels, dataformats=dataformats), global_step, walltime)

    def add_video(
        self,
        tag: str,
        vid_tensor: Any,
        global_step: Any = None,
        fps: float = 4,
        walltime: Any = None,
        dataformats: str = "NTCHW",
    ) -> None:
        """Log a moving picture as an animated GIF; a batch of them side by side.

        Args:
            tag: names the series.
            vid_tensor: uint8 in [0, 255] or float in [0, 1].
            global_step: as in `add_scalar`.
            fps: frames a second.
            walltime: seconds since the epoch; now, if None.
            dataformats: what each axis is, from N, T, C, H, W.

        Raises:
            InvalidValueError: the shape does not fit `dataformats`.
        """
        name = self._name(tag)
        record = VideoRecord(
            tag=name,
            frames=self._snapshot(vid_tensor, name, "zero"),
            fps=to_float(fps, f"video {name!r}: fps", "frames a second, a number above 0"),
            dataformats=dataformats,
        )
        self._log(record, global_step, walltime)

    def add_audio(
        self,
        tag: str,
        snd_tensor: Any,
        global_step: Any = None,
        sample_rate: int = 44100,
        walltime: Any = None,
    ) -> None:
        """Log sound as WAV of 16 bits; values beyond [-1, 1] are clipped and reported.

        Args:
            tag: names the series.
            snd_tensor: (L,), or (L, C) or (C, L) for C channels, in [-1, 1].
            global_step: as in `add_scalar`.
            sample_rate: in Hz.
            walltime: seconds since the epoch; now, if None.

        Raises:
            InvalidValueError: the shape is none of these.
        """
        name = self._tag(tag)
        record = AudioRecord(
            tag=name,
            samples=self._snapshot(snd_tensor, name, "zero"),
            sample_rate=to_int(sample_rate, f"audio {name!r}: sample_rate"),
        )
        self._log(record, global_step, walltime)

    def add_text(self, tag: str, text_string: str, global_step: Any = None, walltime: Any = None) -> None:
        """Log a text, which TensorBoard shows as Markdown."""
        name = self._tag(tag)
        self._log(TextRecord(tag=name, text=to_text(text_string, f"text {name!r}")), global_step, walltime)

    def add_tensor(self, tag: str, tensor: Any, global_step: Any = None, walltime: Any = None) -> None:
        """Log a tensor of any shape with its dtype; the debugger and other readers find it.

        Args:
            tag: names the series.
            tensor: any array.
            global_step: as in `add_scalar`.
            walltime: seconds since the epoch; now, if None.

        Raises:
            InvalidValueError: it has 2 GiB or more.
            UnsupportedTypeError: it holds neither numbers, booleans nor strings.
        """
        name = self._tag(tag)
        dtype = torch_dtype_name(tensor)
        # Before it is copied. A sparse tensor has no `nbytes`.
        if isinstance(tensor, np.ndarray):
            check_size(tensor.nbytes, name)
        elif is_torch_tensor(tensor):
            check_size(tensor.numel() * tensor.dtype.itemsize, name)
        self._log(
            TensorRecord(tag=name, tensor=self._snapshot(tensor, name), dtype=dtype), global_step, walltime
        )

    def add_pr_curve(
        self,
        tag: str,
        labels: Any,
        predictions: Any,
        global_step: Any = None,
        num_thresholds: int = 127,
        weights: Any = None,
        walltime: Any = None,
    ) -> None:
        """Log a precision-recall curve.

        Args:
            tag: names the series.
            labels: true or false for each element.
            predictions: the probability, in [0, 1], that each is true.
            global_step: as in `add_scalar`.
            num_thresholds: points of the curve, 127 at most.
            weights: a weight for each element, or one for all.
            walltime: seconds since the epoch; now, if None.

        Raises:
            InvalidValueError: labels, predictions and weights differ in shape.
            UnsupportedTypeError: one of them holds no real numbers.
        """
        name = self._tag(tag)
        record = PrCurveRecord(
            tag=name,
            labels=self._snapshot(labels, name),
            predictions=self._snapshot(predictions, name),
            num_thresholds=num_thresholds,
            weights=None if weights is None else self._snapshot(weights, name),
        )
        self._log(record, global_step, walltime)

    def add_pr_curve_raw(
        self,
        tag: str,
        true_positive_counts: Any,
        false_positive_counts: Any,
        true_negative_counts: Any,
        false_negative_counts: Any,
        precision: Any,
        recall: Any,
        global_step: Any = None,
        num_thresholds: int = 127,
        weights: Any = None,
        walltime: Any = None,
    ) -> None:
        """Log a precision-recall curve that the caller counted, a value for each threshold."""
        name = self._tag(tag)
        record = RawPrCurveRecord(
            tag=name,
            true_positive_counts=self._snapshot(true_positive_counts, name),
            false_positive_counts=self._snapshot(false_positive_counts, name),
            true_negative_counts=self._snapshot(true_negative_counts, name),
            false_negative_counts=self._snapshot(false_negative_counts, name),
            precision=self._snapshot(precision, name),
            recall=self._snapshot(recall, name),
            num_thresholds=num_thresholds,
            weights=None if weights is None else self._snapshot(weights, name),
        )
        self._log(record, global_step, walltime)

    def add_mesh(
        self,
        tag: str,
        vertices: Any,
        colors: Any = None,
        faces: Any = None,
        config_dict: Mapping[str, Any] | None = None,
        global_step: Any = None,
        walltime: Any = None,
    ) -> None:
        """Log point clouds or meshes.

        Args:
            tag: names the series.
            vertices: (B, N, 3) coordinates.
            colors: (B, N, 3) in [0, 255], one for each vertex.
            faces: (B, M, 3) indices of vertices.
            config_dict: settings of the scene, as TensorBoard's mesh plugin accepts them.
            global_step: as in `add_scalar`.
            walltime: seconds since the epoch; now, if None.

        Raises:
            InvalidValueError: a shape does not fit.
        """
        name = self._tag(tag)
        record = MeshRecord(
            tag=name,
            vertices=self._snapshot(vertices, name),
            colors=None if colors is None else self._snapshot(colors, name),
            faces=None if faces is None else self._snapshot(faces, name),
            config=frozen(config_dict),
        )
        self._log(record, global_step, walltime)

    def add_embedding(
        self,
        mat: Any,
        metadata: Sequence[Any] | None = None,
        label_img: Any = None,
        global_step: Any = None,
        tag: str = "default",
        metadata_header: Sequence[str] | None = None,
    ) -> None:
        """Log points for the projector, as files beside the event file.

        Args:
            mat: (N, D), one point a row.
            metadata: a label for each point, or a list of labels for each if there is a header.
            label_img: (N, C, H, H), a square image for each point.
            global_step: as in `add_scalar`.
            tag: names the series.
            metadata_header: names of the labels' columns.

        Raises:
            AssertionError, InvalidValueError: the numbers of points, labels and images differ.
        """
        name = self._tag(tag)
        header = None if metadata_header is None else label_texts(metadata_header, "metadata_header")
        texts = label_rows if header else label_texts
        record = EmbeddingRecord(
            tag=name,
            matrix=self._snapshot(mat, name),
            labels=None if metadata is None else texts(metadata, "metadata"),
            images=None if label_img is None else self._snapshot(label_img, name, "zero"),
            header=header,
        )
        self._log(record, global_step, None)

    def add_custom_scalars(self, layout: Mapping[str, Mapping[str, Sequence[Any]]]) -> None:
        """Lay out the Custom Scalars page; once for each writer.

        Args:
            layout: {category: {title: ["Multiline", [tags]] or ["Margin", [value, lower, upper]]}}.

        Raises:
            InvalidTypeError: the layout is not a dict of dicts, or a name in it is not a string.
            InvalidValueError: a chart is none of these, or the layout contains itself.
        """
        self._log(CustomScalarsRecord(layout=frozen(layout)), None, None)

    def add_custom_scalars_multilinechart(
        self, tags: Sequence[str], category: str = "default", title: str = "untitled"
    ) -> None:
        """Lay out one chart with a line for each tag.

        Raises:
            InvalidTypeError: the tags are not a list of strings.
        """
        chart = ["Multiline", tag_list(tags, "a multiline chart: tags")]
        self.add_custom_scalars({category: {title: chart}})

    def add_custom_scalars_marginchart(
        self, tags: Sequence[str], category: str = "default", title: str = "untitled"
    ) -> None:
        """Lay out one chart with a line and a band around it: three tags, value, lower and upper.

        Raises:
            AssertionError: there are not three tags.
            InvalidTypeError: the tags are not a list of strings.
        """
        chosen = tag_list(tags, "a margin chart: tags")
        if len(chosen) != 3:
            raise AssertionError(
                f"a margin chart needs three tags, value, lower and upper; got {shortened(chosen)}"
            )
        self.add_custom_scalars({category: {title: ["Margin", chosen]}})

    def add_hparams(
        self,
        hparam_dict: dict[str, Any],
        metric_dict: dict[str, Any],
        hparam_domain_discrete: Any = None,
        run_name: Any = None,
        global_step: Any = None,
        *,
        name: str | None = None,
    ) -> None:
        """Log hyperparameters with the metrics they led to, as a run of their own below this one.

        `log_hparams` puts them into this run instead.

        Args:
            hparam_dict: bool, number, str or None by name.
            metric_dict: one number by tag.
            hparam_domain_discrete: the values that each may take. In tensorboardX's signature, this
                position is `name`, so a string counts as that, and the next one as `global_step`.
            run_name: directory of the run; the time, if None.
            global_step: step of the metrics.
            name: tensorboardX's name of `run_name`.

        Raises:
            InvalidTypeError: either is not a dict.
            InvalidValueError: a value is none of these types.
        """
        if type(hparam_dict) is not dict or type(metric_dict) is not dict:
            raise InvalidTypeError(
                f"add_hparams got a {type(hparam_dict).__name__} and a {type(metric_dict).__name__}; give two dicts"
            )
        if isinstance(hparam_domain_discrete, str):
            name, hparam_domain_discrete = hparam_domain_discrete, None
            run_name, global_step = None, run_name if run_name is not None else global_step
        run = check_run(run_name or name or str(time.time()))
        record = HparamsRecord(
            hparams={plain_key(key): plain_hparam(key, value) for key, value in hparam_dict.items()},
            metrics=frozen(list(metric_dict)),
            domains=plain_domains(hparam_domain_discrete),
        )
        metrics = [(self._name(tag), self._number(value, tag)) for tag, value in metric_dict.items()]
        if self._silent:  # the run may be named after the time
            return
        step_of_all = None if self.options.flavor == "tensorboardX" else global_step
        self._log(record, step_of_all, None, run)
        for tag, value in metrics:
            if self.options.ranks == "reduce":  # a record is not reduced: hyperparameters are those of rank 0
                self._log(ScalarRecord(tag=tag, value=value), global_step, None, run)
                continue
            self._put(RunScalar(run, (tag, value, self._step(tag, global_step), self._wall_time(tag, None))))

    def log_hparams(self, hparam_dict: dict[str, Any], metric_tags: Sequence[str] = ()) -> None:
        """Log the hyperparameters of this run itself, beside its scalars.

        Args:
            hparam_dict: bool, number, str or None by name.
            metric_tags: scalar tags that judge the run. With none, TensorBoard offers all of them.

        Raises:
            InvalidTypeError: `hparam_dict` is not a dict.
            InvalidValueError: a value is none of these types.
        """
        if not isinstance(hparam_dict, dict):
            raise InvalidTypeError(f"log_hparams got a {type(hparam_dict).__name__}; give a dict")
        self._log(
            HparamsRecord(
                hparams={plain_key(key): plain_hparam(key, value) for key, value in hparam_dict.items()},
                metrics=tag_list(metric_tags, "log_hparams: metric_tags"),
            ),
            None,
            None,
        )

    def add_graph(
        self,
        model: Any,
        input_to_model: Any = None,
        verbose: Any = False,
        use_strict_trace: Any = True,
        *,
        source: Source | None = None,
    ) -> None:
        """Log a model's graph. The model is read in the call, left as it was, and drawn later.

        Args:
            model: a `torch.nn.Module`, or a ScriptModule or ScriptFunction.
            input_to_model: what the model is called with: a tensor, a tuple of arguments, a dict of
                keyword arguments, or None. Further inputs may follow by position.
            verbose: print the graph.
            use_strict_trace: the `strict` of `torch.jit.trace`, where tracing is used.
            source: the way to read the model ("export", "trace" or "hooks"); by default the first
                of them that works.

        Raises:
            InvalidTypeError: `model` cannot be read.
            InvalidValueError: the model needs an input, or `source` is unknown.
            GraphError: no way worked, and the options say strict. Otherwise it is counted, with a warning.
        """
        if self._silent:
            return
        from tblog.graph import GraphError, read_graph

        if not isinstance(verbose, (bool, int)):  # add_graph(model, *inputs) is in the wild
            more = [verbose] if isinstance(use_strict_trace, (bool, int)) else [verbose, use_strict_trace]
            input_to_model, verbose, use_strict_trace = (input_to_model, *more), False, True
        try:
            graph = read_graph(model, input_to_model, use_strict_trace=bool(use_strict_trace), source=source)
        except GraphError as error:
            if self.options.strict:
                raise
            self._get_file_writer().reports.unread_graph(error)
            return
        if verbose:
            print(graph)  # noqa: T201 - that is what verbose asks for
        self._log(GraphRecord(graph_def=graph), None, None)

    def add_onnx_graph(self, prototxt: Any = None, *, onnx_model_file: Any = None) -> None:
        """Log the graph of an ONNX file, given by its path (`onnx_model_file` in tensorboardX)."""
        if self._silent:
            return
        from tblog.graph import read_onnx_graph

        path = prototxt if prototxt is not None else onnx_model_file
        self._log(GraphRecord(graph_def=read_onnx_graph(path)), None, None)

    def add_openvino_graph(self, xmlname: Any) -> None:
        """Log the graph of an OpenVINO model, given by the path of its XML file."""
        if self._silent:
            return
        from tblog.graph import read_openvino_graph

        self._log(GraphRecord(graph_def=read_openvino_graph(xmlname)), None, None)

    @property
    def scalar_dict(self) -> dict[str, list[list[float]]]:
        """Return what `add_scalars` logged, [time, step, value] by run, read back from the files."""
        from tblog._files.readback import read_scalars

        self.flush()
        return {
            path: read_scalars(writer.event_writer._file_name)  # noqa: SLF001 - our own
            for path, writer in (self.all_writers or {}).items()
            if path != self.log_dir and hasattr(writer, "event_writer")
        }

    def export_scalars_to_json(self, path: str | os.PathLike[str]) -> None:
        """Write what `add_scalars` logged to a JSON file: {run: [[time, step, value], ...]}."""
        if self._silent:
            return
        import json

        with open(path, "w", encoding="utf-8") as file:
            json.dump(self.scalar_dict, file)
