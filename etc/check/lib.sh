# Shared by the suites: builds, and servers for the length of a suite.
# shellcheck shell=bash
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
root=$PWD
jobs=$(nproc)

export ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
export TSAN_OPTIONS=halt_on_error=1:suppressions=$root/etc/check/tsan.supp

# packages GROUP...: a suite without its packages cannot run.
packages()
{
	etc/install-packages "$@" && return
	echo "not ok packages for $(basename "$0")"
	exit 1
}

# build KIND: brings build-KIND up to date, or ends the suite as failed.
# Warnings are errors.
build()
{
	local kind=$1 dir=build-$1 log options
	case $kind in
	asan) options=(-Db_sanitize=address,undefined) ;;
	tsan) options=(-Db_sanitize=thread) ;;
	fuzz) options=(-Dfuzz=true -Db_sanitize=address,undefined) ;;
	esac
	[ "$kind" = fuzz ] && local -x CC=clang
	log=$(mktemp)
	if { [ -f "$dir"/build.ninja ] || rm -rf "$dir" &&
		meson setup "$dir" -Dwerror=true "${options[@]}"; } >"$log" 2>&1 &&
		ninja -j "$jobs" -C "$dir" >>"$log" 2>&1; then
		rm "$log"
		return
	fi
	echo "not ok build $kind"
	grep -E -A3 'error|FAILED|undefined reference' "$log" | head -n 40
	rm "$log"
	exit 1
}

# meson_tests KIND SUITE...: runs meson's tests of these suites, prints a line
# for each case.
meson_tests()
{
	local kind=$1 suites=()
	shift
	for suite; do suites+=(--suite "$suite"); done
	rm -f "build-$kind"/meson-logs/testlog.json
	meson test -C "build-$kind" --no-rebuild --num-processes "$jobs" \
		--timeout-multiplier 4 "${suites[@]}" >/dev/null 2>&1
	/usr/bin/python3 etc/check/results.py "$kind" \
		"build-$kind"/meson-logs/testlog.json
}

# What a suite starts, it ends: by pid, and its files with it.
scratch=$(mktemp -d)
pids=()
cleanup()
{
	local pid
	for pid in ${pids[@]+"${pids[@]}"}; do
		kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null
	done
	rm -rf "$scratch"
}
trap cleanup EXIT
trap 'exit 130' INT TERM
