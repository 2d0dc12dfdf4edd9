# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # lib.sh, which sources this, sets and uses what is here
# What a container is made of, apart from its code: the settings of .env and of the shell, whose project it is, and a
# fingerprint of all that shapes it. Part of lib.sh.

# What the line of a file must look like, so that Docker, podman-compose and the scripts read the same.
readonly ENV_LINE='^[[:space:]]*(export[[:space:]]+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)$'
readonly BUILD_ONLY=' PYTHON_IMAGE PIP_CA_FILE ' # they shape the image, and its id is in the fingerprint
declare -A ENV_FILE=()

# Reads .env. What it sets and the shell does not goes to everything that is started from here: one reader for all.
load_settings() {
  local name known
  read_env_file "$ROOT/.env"
  known=" $(sed -nE 's/^#? ?([A-Z][A-Z0-9_]*)=.*/\1/p' "$ROOT/backend/.env.docker.example" | tr '\n' ' ')"
  for name in "${!ENV_FILE[@]}"; do
    [[ $known == *" $name "* || $name == PODMAN_* || $name == AWS_* ]] || continue
    [[ -v $name ]] || export "$name=${ENV_FILE[$name]}"
  done
  if [[ -n ${PIP_CA_FILE:-} && $PIP_CA_FILE != /* ]]; then PIP_CA_FILE=$(cd "$ROOT" && realpath -m -- "$PIP_CA_FILE"); fi
  PYTHON_IMAGE=${PYTHON_IMAGE:-docker.io/library/python:3.11-slim}
  PROJECT=${COMPOSE_PROJECT_NAME:-$PROJECT}
  [[ $PROJECT =~ ^[a-z0-9][a-z0-9_-]*$ ]] \
    || die "COMPOSE_PROJECT_NAME must be of lower-case letters, digits, '-' and '_', and begin with a letter or digit, not '$PROJECT'"
  HEALTHY_SECONDS=${TICKET_WAIT_SECONDS:-$HEALTHY_SECONDS}
  [[ $HEALTHY_SECONDS =~ ^[1-9][0-9]{0,5}$ ]] || die "TICKET_WAIT_SECONDS must be a whole number of seconds, not '$HEALTHY_SECONDS'"
}

# Fills ENV_FILE. What the engines would read differently is refused, never guessed.
read_env_file() {
  local file=$1 line name value number=0
  [[ -e $file ]] || return 0
  [[ -f $file && -r $file ]] || die "$file can't be read by $(id -un)"
  while IFS= read -r line || [[ -n $line ]]; do
    number=$((number + 1))
    line=${line%$'\r'}
    if [[ $line =~ ^[[:space:]]*(#.*)?$ ]]; then continue; fi
    [[ $line =~ $ENV_LINE ]] || die "$file, line $number, must be NAME=value"
    name=${BASH_REMATCH[2]} value=${BASH_REMATCH[3]}
    value=${value#"${value%%[![:space:]]*}"}
    value=${value%"${value##*[![:space:]]}"}
    plain_value "$file, line $number: $name" "$value"
    ENV_FILE[$name]=$VALUE
  done < "$file"
}

# Sets VALUE to what is meant by $2, the right side of a line; $1 names the line.
plain_value() {
  local where=$1 text=$2 single="^'([^'\\\\]*)'\$" double='^"([^"\\$]*)"$'
  if [[ $text =~ $single ]]; then
    VALUE=${BASH_REMATCH[1]}
    [[ $VALUE != *\$\{* ]] || die "$where has a \${ in it, which Docker and Podman read differently; choose another value"
  elif [[ $text =~ $double ]]; then
    VALUE=${BASH_REMATCH[1]}
  else
    VALUE=$text
    if [[ $text =~ [\"\'\\] ]]; then
      die "$where has a quote or backslash in it, which Docker and Podman read differently; choose another value, or put the whole value into one pair of quotes"
    elif [[ $text == *\$* ]]; then
      die "$where has a \$ in it, which Docker replaces and Podman does not; put the value into single quotes: '$text'"
    elif [[ $text =~ (^|[[:space:]])\# ]]; then
      die "$where has a # in it, which begins a comment; put the value into single quotes, or the comment on a line of its own"
    fi
  fi
}

# The value that counts: the shell's, else .env's, else the default.
setting() { printf '%s\n' "${!1:-$2}"; }

# ---- Which compose files ------------------------------------------------------------------------------------------

# Sets FILES, the compose files in their order, and COMPOSE_FILES, the options that name them.
choose_compose_files() {
  local file
  FILES=("$COMPOSE_FILE")
  for file in compose.override.yaml compose.override.yml; do
    if [[ -e $ROOT/$file ]]; then
      FILES+=("$file")
      log "with your $file"
      break
    fi
  done
  COMPOSE_FILES=()
  for file in "${FILES[@]}"; do COMPOSE_FILES+=(-f "$file"); done
}

# ---- Whose project it is ------------------------------------------------------------------------------------------

# A project is one set of containers and volumes, wherever it is started from: a second checkout would take them over.
claim_project() {
  local container directory='' file='' claims claim
  claims=${OWNER_HOME:-$HOME}/.local/share/ticket-backend/projects
  if [[ $ENGINE_NAME == docker ]]; then claims=$HOME/.local/share/ticket-backend/projects; fi
  claim=$claims/$ENGINE_NAME-$PROJECT
  container=$(any_container)
  if [[ -n $container ]]; then
    directory=$(label_of "$container" com.docker.compose.project.working_dir)
    file=$(label_of "$container" com.docker.compose.project.config_files)
    [[ $directory != "$SOURCE" ]] || directory=''
  fi
  if [[ -z $directory ]]; then directory=$(as_owner cat "$claim" 2> /dev/null || true); fi
  if [[ -n $directory && $directory != "$ROOT" && $directory != "$SOURCE" && $ADOPT == no ]] && ! is_gone "$directory"; then
    die "the project $PROJECT with its tickets is that of $directory; give this checkout its own in .env, COMPOSE_PROJECT_NAME=${PROJECT}-2 and another API_PORT, or go on with those tickets from here: $PROGRAM --adopt"
  fi
  if [[ -n $file && ${file%%,*} != *"$COMPOSE_FILE" ]]; then
    die "the project $PROJECT runs ${file%%,*}, not $COMPOSE_FILE; stop that first, or give this one another COMPOSE_PROJECT_NAME"
  fi
  if [[ $directory != "$ROOT" || -n $container ]]; then
    if as_owner mkdir -p "$claims"; then as_owner tee "$claim" <<< "$ROOT" > /dev/null; fi
  fi
}

label_of() { engine inspect --format "{{index .Config.Labels \"$2\"}}" "$1" 2> /dev/null | sed 's/^<no value>$//'; }

# Whether a checkout was moved or removed; one that can't be seen from here is still there.
is_gone() {
  local path=$1
  [[ ! -e $path/compose.yaml ]] || return 1
  while [[ ! -e $path ]]; do path=$(dirname "$path"); done
  [[ -x $path ]]
}

# ---- What shapes the container --------------------------------------------------------------------------------------

# Changes with the image, the compose files, the settings that they or the application read, and the files they name.
fingerprint() {
  local name file
  {
    printf '%s\n' "$SOURCE" "$(engine image inspect --format '{{.Id}}' "$IMAGE:$TAG" 2> /dev/null || true)"
    for file in "${FILES[@]}"; do file_digest "$ROOT/$file"; done
    for name in $(names_that_count); do
      if [[ -v $name ]]; then printf '%s=%s\n' "$name" "${!name}"; elif [[ -v ENV_FILE[$name] ]]; then printf '%s=%s\n' "$name" "${ENV_FILE[$name]}"; fi
    done
    while IFS= read -r file; do file_digest "$file"; done < <(files_that_count)
  } | sha256sum | cut -c1-32
}

file_digest() { if [[ -f $1 && -r $1 ]]; then sha256sum "$1"; else printf '%s is not there\n' "$1"; fi; }

# Those of .env, which the application gets; those that the compose files pass on or put in; and Podman's own.
names_that_count() {
  local name file
  {
    printf '%s\n' "${!ENV_FILE[@]}" "${!PODMAN_@}"
    for file in "${FILES[@]}"; do grep -oE '\$\{?[A-Za-z_][A-Za-z0-9_]*' "$ROOT/$file" | tr -d '{$' || true; done
    sed -nE 's/^([A-Z][A-Z0-9_]*)$/\1/p' "$ROOT/$PASSED"
  } | sort -u | while IFS= read -r name; do
    [[ -z $name || $name == TICKET_FINGERPRINT || $BUILD_ONLY == *" $name "* ]] || printf '%s\n' "$name"
  done
}

# Secrets and the like, which an engine mounts or reads and never compares: `file: PATH` and `path: PATH` of the compose files.
files_that_count() {
  local file path name
  for file in "${FILES[@]}"; do
    sed -nE "s/^[[:space:]]*(- )?(file|path|env_file):[[:space:]]+['\"]?([^'\"#[:space:]]+).*/\3/p" "$ROOT/$file"
  done | sort -u | while IFS= read -r path; do
    if [[ $path =~ ^\$\{([A-Za-z_][A-Za-z0-9_]*)(:?-([^}]*))?\}$ ]]; then
      name=${BASH_REMATCH[1]} path=${BASH_REMATCH[3]}
      [[ $BUILD_ONLY != *" $name "* ]] || continue
      path=${!name:-${path}}
    fi
    [[ $path != .env && -n $path ]] || continue
    if [[ $path == /* ]]; then printf '%s\n' "$path"; else printf '%s/%s\n' "$ROOT" "${path#./}"; fi
  done
}

# Whether the container that is there, if one is, was made of what is here now.
is_current() {
  local container
  container=$(any_container)
  [[ -n $container && $(label_of "$container" ticket-backend.fingerprint) == "$TICKET_FINGERPRINT" ]]
}
