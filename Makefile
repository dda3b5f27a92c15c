# Everything a developer does. Each target sets up what it needs: a fresh clone needs Python 3.11+ and make.

SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv/bin
# Zappa, mypy and the cold start all want .pyc files, whatever the machine's habit is.
unexport PYTHONDONTWRITEBYTECODE

# The settings of a deployed portal, for `manage.py check --deploy`.
DEPLOYED := PORTICO_SECRET_KEY=$$(head -c 40 /dev/urandom | base64 | tr -d '\n') PORTICO_ALLOWED_HOSTS=portal.example.com \
	PORTICO_USER_POOL_ID=eu-west-1_Example00 PORTICO_PORTAL_CLIENT_ID=portal PORTICO_API_CLIENT_ID=api PORTICO_RIDES_TABLE=rides \
	PORTICO_FLEET_TABLE=fleet PORTICO_IDEMPOTENCY_TABLE=idempotency PORTICO_SESSIONS_TABLE=sessions PORTICO_AUDIT_TABLE=audit \
	PORTICO_PEOPLE_TABLE=people PORTICO_DOCUMENTS_TABLE=documents PORTICO_DOCUMENTS_BUCKET=documents \
	PORTICO_RENDERS_TABLE=renders PORTICO_RENDERS_QUEUE_URL=https://sqs.eu-west-1.amazonaws.com/123456789012/renders \
	PORTICO_DOCUMENT_EVENTS_QUEUE_URL=https://sqs.eu-west-1.amazonaws.com/123456789012/document-events \
	PORTICO_IDENTITY_POOL_ID=eu-west-1:00000000-0000-4000-8000-000000000000 \
	PORTICO_PERSON_ROLE_ARN=arn:aws:iam::123456789012:role/person PORTICO_PEOPLE_ROLE_ARNS=arn:aws:iam::123456789012:role/person \
	PORTICO_HOSTED_UI_URL=https://portico.example.com \
	PORTICO_TAG_POLICIES_TABLE=policies PORTICO_POLICY_RUNS_TABLE=runs PORTICO_POLICY_FINDINGS_TABLE=findings \
	PORTICO_POLICY_RUNS_QUEUE_URL=https://sqs.eu-west-1.amazonaws.com/123456789012/runs \
	PORTICO_LAUNCHES_QUEUE_URL=https://sqs.eu-west-1.amazonaws.com/123456789012/launches \
	PORTICO_APPROVALS_TABLE=approvals PORTICO_APPROVAL_ASSIGNMENTS_TABLE=assignments PORTICO_APPROVAL_LINKS_TABLE=links \
	PORTICO_REQUEST_TYPES_TABLE=types PORTICO_ABSENCES_TABLE=absences PORTICO_STREAMING_APPLICATIONS_TABLE=applications \
	PORTICO_STREAMING_LAUNCHES_TABLE=launches PORTICO_STREAMING_PICTURES_TABLE=pictures \
	PORTICO_APPROVALS_QUEUE_URL=https://sqs.eu-west-1.amazonaws.com/123456789012/approvals \
	PORTICO_APPROVAL_MAILS_QUEUE_URL=https://sqs.eu-west-1.amazonaws.com/123456789012/approval-mails \
	PORTICO_APPROVAL_ANSWERS_QUEUE_URL=https://sqs.eu-west-1.amazonaws.com/123456789012/approval-answers \
	PORTICO_EXECUTIONS_QUEUE_URL=https://sqs.eu-west-1.amazonaws.com/123456789012/executions \
	PORTICO_PROMOTION_STATE_MACHINE_ARN=arn:aws:states:eu-west-1:123456789012:stateMachine:promotion \
	PORTICO_MANUAL_PROMOTION_STATE_MACHINE_ARN=arn:aws:states:eu-west-1:123456789012:stateMachine:promotion-by-activity \
	PORTICO_MANUAL_STEP_ARN=arn:aws:states:eu-west-1:123456789012:activity:ManualStep \
	PORTICO_DEAD_LETTER_QUEUE_URL=https://sqs.eu-west-1.amazonaws.com/123456789012/dead-letters \
	PORTICO_POLICY_REPORTS_TOPIC_ARN=arn:aws:sns:eu-west-1:123456789012:reports PORTICO_MAIL_FROM=portico@example.com \
	PORTICO_URL=https://portal.example.com

.PHONY: run test check fix bench pictures reset clean setup lock

run: setup ## Serve the portal on the local cloud
	@exec $(VENV)/python -m portal.localcloud.launcher

test: setup .run/system-tests ## Run every test, the browser's included
	$(VENV)/pytest -n 2 $(ARGS)

check: setup ## Format, lint, types, templates
	$(VENV)/ruff format --check .
	$(VENV)/ruff check .
	$(DEPLOYED) $(VENV)/mypy
	$(VENV)/djade --check --target-version 5.2 $$(git ls-files '*.html')
	$(VENV)/djlint --quiet --lint .
	$(VENV)/cfn-lint infrastructure/*.yaml
	$(DEPLOYED) $(VENV)/python manage.py check --deploy --fail-level WARNING

fix: setup ## Mend what can be mended by a tool
	$(VENV)/ruff format .
	$(VENV)/ruff check --fix .
	-$(VENV)/djade --target-version 5.2 $$(git ls-files '*.html')

bench: setup .run/bench ## Measure
	$(VENV)/python -m bench

pictures: setup .run/system-tests ## Take the README's pictures anew
	$(VENV)/python -m docs.take_pictures

reset: ## Forget what the local cloud holds
	rm -rf .run/state .run/*.secret .run/aws-config .run/local.env .run/cloud.log .run/worker.log

clean: reset ## Forget everything that set-up made
	rm -rf .venv .cloud .bench .node .run node_modules portal/static/vendor staticfiles

lock: ## Renew the hashed locks (needs uv): make lock ARGS=--upgrade
	sh infrastructure/lock.sh $(ARGS)

# --- Set-up -----------------------------------------------------------------------------------------------------------

setup: .run/dev .run/cloud .run/browser-files .run/system

.run:
	@mkdir -p .run

.run/python: | .run
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Portico needs Python 3.11 or newer: make PYTHON=/path/to/python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || sh infrastructure/system.sh python3-venv
	@touch $@

.run/dev: requirements/dev.txt | .run/python
	@echo "Setting up .venv …"
	@$(PYTHON) -m venv .venv
	@$(VENV)/pip install --quiet --require-hashes -r $<
	@touch $@

.run/cloud: requirements/cloud.txt | .run/python
	@echo "Setting up the local cloud's environment …"
	@$(PYTHON) -m venv .cloud
	@.cloud/bin/pip install --quiet --require-hashes -r $<
	@touch $@

# Cloud Custodian, only for `make bench`.
.run/bench: requirements/bench.txt | .run/python
	@echo "Setting up Cloud Custodian's environment …"
	@$(PYTHON) -m venv .bench
	@.bench/bin/pip install --quiet --require-hashes -r $<
	@touch $@

# npm comes from the machine or, where it has none, from a wheel.
.run/browser-files: package-lock.json requirements/node.txt infrastructure/browser-files.txt | .run/python
	@echo "Fetching the browser files …"
	@command -v npm >/dev/null || { $(PYTHON) -m venv .node && .node/bin/pip install --quiet --require-hashes -r requirements/node.txt; }
	@PATH="$$PATH:$(CURDIR)/.node/bin" npm ci --silent --ignore-scripts
	@rm -rf portal/static/vendor
	@while read -r from to; do mkdir -p "portal/static/vendor/$$to" && cp -r node_modules/$$from "portal/static/vendor/$$to"; done < infrastructure/browser-files.txt
	@touch $@

# Pango for WeasyPrint; for the browser tests Chromium as well.
.run/system: infrastructure/system.sh | .run
	@sh infrastructure/system.sh pango
	@touch $@

.run/system-tests: infrastructure/system.sh | .run
	@sh infrastructure/system.sh pango chromium
	@touch $@
