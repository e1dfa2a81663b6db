# Shared by the suites: builds, and servers for the length of a suite.
# shellcheck shell=bash
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
root=$PWD
jobs=$(nproc)

export ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
export TSAN_OPTIONS=halt_on_error=1:suppressions=$root/etc/check/tsan.supp
export LSAN_OPTIONS=print_suppressions=0:suppressions=$root/etc/check/lsan.supp

# What a suite starts, it ends: by pid, and its files with it.
scratch=$(mktemp -d)
pids=() postgres='' names=''
cleanup()
{
	local pid
	for pid in ${pids[@]+"${pids[@]}"}; do
		kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null
	done
	[ -z "$postgres" ] || etc/check/postgres stop "$postgres" immediate
	[ -z "$names" ] || etc/check/dns stop "$names"
	rm -rf "$scratch"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# part COMMAND...: what ends with an error makes the suite end so, as "exit
# $status"; where it blamed no case ./check does.
status=0
part()
{
	"$@" || status=1
}

# packages GROUP...: a suite without its packages cannot run.
packages()
{
	etc/install-packages "$@" && return
	echo "not ok packages for $(basename "$0")"
	exit 1
}

# configure KIND: makes build-KIND, or brings it up to date with meson.build.
configure()
{
	local kind=$1 dir=build-$1 options
	case $kind in
	asan) options=(-Db_sanitize=address,undefined) ;;
	tsan) options=(-Db_sanitize=thread) ;;
	fuzz) options=(-Dfuzz=true -Db_sanitize=address,undefined) ;;
	release) options=(--buildtype=release -Db_lto=true -Dtests=false) ;;
	esac
	[ "$kind" = fuzz ] && local -x CC=clang
	if [ -f "$dir"/build.ninja ]; then
		meson setup --reconfigure "$dir"
	else
		rm -rf "$dir"
		meson setup "$dir" -Dwerror=true "${options[@]}"
	fi
}

# build KIND [TARGET...]: builds it, or ends the suite as failed. Warnings are
# errors.
build()
{
	local kind=$1 log=$scratch/build-$1.log
	shift
	configure "$kind" >"$log" 2>&1 &&
		ninja -j "$jobs" -C build-"$kind" "$@" >>"$log" 2>&1 && return
	echo "not ok build $kind"
	grep -iE -A3 'error|FAILED|undefined reference' "$log" | head -n 40
	exit 1
}

# tsan_run COMMAND...: older TSan runtimes cannot live with much randomness of
# addresses.
tsan_run()
{
	if setarch -R true 2>/dev/null; then
		setarch -R "$@"
	else
		"$@"
	fi
}

# meson_tests KIND SUITE...: runs meson's tests of these suites, prints a line
# for each case. Their timeouts are only for what hangs.
meson_tests()
{
	local kind=$1 suites=() how=()
	shift
	for suite; do suites+=(--suite "$suite"); done
	[ "$kind" = tsan ] && how=(tsan_run)
	rm -f "build-$kind"/meson-logs/testlog.json
	"${how[@]}" meson test -C "build-$kind" --no-rebuild --num-processes "$jobs" \
		--timeout-multiplier 5 "${suites[@]}" >/dev/null 2>&1
	/usr/bin/python3 etc/check/results.py "$kind" \
		"build-$kind"/meson-logs/testlog.json
}

# A PostgreSQL in $scratch; JACKDAW_TEST_PG says how it is reached, the others
# how a test stops and starts it.
postgres_start()
{
	chmod 711 "$scratch"
	postgres=$scratch/postgres
	if ! JACKDAW_TEST_PG=$(etc/check/postgres start "$postgres"); then
		echo "not ok postgres does not start"
		exit 1
	fi
	export JACKDAW_TEST_PG
	export JACKDAW_TEST_PG_CTL=$root/etc/check/postgres
	export JACKDAW_TEST_PG_DIR=$postgres
}

# names_start FILE: a DNS server in $scratch that has what is in the file;
# JACKDAW_TEST_DNS says how libunbound reaches it.
names_start()
{
	if ! JACKDAW_TEST_DNS=$(etc/check/dns start "$scratch"/names "$1"); then
		echo "not ok dns does not start"
		exit 1
	fi
	names=$scratch/names
	export JACKDAW_TEST_DNS
	export JACKDAW_TEST_DNS_ANCHOR=$names/anchor
}

# wait_for WHAT COMMAND...: until it succeeds, for two minutes at most.
wait_for()
{
	local what=$1 deadline=$((SECONDS + 120))
	shift
	until "$@" >/dev/null 2>&1; do
		if [ $SECONDS -ge $deadline ]; then
			echo "not ok $what does not come up"
			exit 1
		fi
		sleep 0.1
	done
}

# Runs the server, and again when it ended in order and $site/again is there.
jackdaw_keep()
{
	local child=
	trap 'kill "$child"; wait "$child"; exit' TERM
	while :; do
		"$jackdaw" -c "$config" run &
		child=$!
		wait "$child" || exit
		[ -f "$site"/again ] || exit 0
		rm "$site"/again
	done
}

# A Jackdaw of build KIND in $scratch/site, on free ports: $port and $tls_port,
# the first of $ports if that is set.
# $scratch/more.yaml, if it is there, is added to its settings, and $listen, if
# it is set, to those of listen; with s2s=1 site.yaml's say nothing of other
# servers. $restart is a
# command that ends it in order and starts it again. Clients may show
# certificates of the authority $client_ca. With a second argument, postgres, it
# keeps its data in that of postgres_start.
jackdaw_start()
{
	site=$scratch/site${2:+-$2}
	jackdaw=$root/build-$1/jackdaw
	config=$site/jackdaw.yaml
	certificate=$site/localhost.pem
	read -r port tls_port _ <<<"${ports:-$(free_ports)}"
	mkdir -p "$site"
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 \
		-nodes -subj /CN=clients -days 30 -keyout "$site"/clients.key \
		-out "$site"/clients.pem 2>/dev/null
	client_ca=$site/clients.pem,$site/clients.key
	sed "${s2s:+/^s2s:/d}" etc/check/site.yaml |
		cat - "$scratch"/more.yaml >"$scratch"/site.yaml 2>/dev/null
	etc/make-site "$site" "$port" "$tls_port" "$scratch"/site.yaml
	[ -z "${listen-}" ] || sed -i "s|^listen:\$|&\n$listen|" "$config"
	local there="backend: postgres, conninfo: \"${JACKDAW_TEST_PG-}\""
	[ "${2-}" != postgres ] ||
		sed -i "s|^storage: .*|storage: {$there}|" "$config"
	jackdaw_keep >"$site"/output 2>&1 &
	pids+=($!)
	wait_for jackdaw "$jackdaw" -c "$config" status
	adduser="$jackdaw -c $config adduser --password-stdin {jid}"
	restart=$site/restart
	cat >"$restart" <<-END
		#!/bin/bash
		touch "$site"/again
		"$jackdaw" -c "$config" stop
		until [ ! -e "$site"/again ] && "$jackdaw" -c "$config" status
		do
			[ \$SECONDS -lt 120 ] || exit 1
			sleep 0.1
		done
	END
	chmod +x "$restart"
}

# What the server wrote, if it ended or complained while it was tested.
jackdaw_stop()
{
	local pid=${pids[-1]}
	unset 'pids[-1]'
	kill "$pid" 2>/dev/null
	if wait "$pid"; then
		echo "ok jackdaw stops cleanly"
	else
		echo "not ok jackdaw stops cleanly"
		tail -n 60 "$site"/output | sed 's/^/    /'
	fi
}

free_ports() { /usr/bin/python3 etc/check/ports.py "$@"; }
