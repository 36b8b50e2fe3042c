#!/bin/sh
# SLURM on this machine alone, for tests: `.ci/slurm.sh start`, `stop`, or `eval "$(.ci/slurm.sh env)"`.
# As root, where Debian's slurmctld, slurmd, slurm-client and munge are installed. Two nodes, both of
# them this machine, where slurmd is built for that; all files lie in one folder, and none of the
# machine's own settings is touched.
set -eu
place=${PPAP_TEST_SLURM:-${TMPDIR:-/tmp}/ppap-test-slurm}
here=$(hostname -s)
cores=$(nproc)

configure() {
  mkdir -p "$place/state" "$place/spool-n1" "$place/spool-n2"
  cat >"$place/slurm.conf" <<END
ClusterName=test
SlurmctldHost=$here(127.0.0.1)
SlurmctldPort=26817
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=cred_expire=30
StateSaveLocation=$place/state
SlurmdSpoolDir=$place/spool-%n
SlurmctldPidFile=$place/slurmctld.pid
SlurmdPidFile=$place/slurmd-%n.pid
SlurmctldLogFile=$place/slurmctld.log
SlurmdLogFile=$place/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=batch_sched_delay=0,sched_interval=2,bf_interval=2
ReturnToService=2
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
KillWait=5
OverTimeLimit=0
NodeName=n1 NodeHostname=$here NodeAddr=127.0.0.1 Port=26818 CPUs=$cores RealMemory=1000
NodeName=n2 NodeHostname=$here NodeAddr=127.0.0.1 Port=26819 CPUs=$cores RealMemory=1000
PartitionName=test Nodes=n1,n2 Default=YES MaxTime=INFINITE OverSubscribe=FORCE:8 State=UP
END
}

idle() { sinfo --noheader --Node --format=%t 2>/dev/null | grep -c '^\(idle\|mix\|alloc\)' || true; }

start() {
  command -v slurmctld >/dev/null && command -v slurmd >/dev/null && command -v munged >/dev/null ||
    { echo "slurmctld, slurmd or munge is not installed" >&2; exit 1; }
  configure
  export SLURM_CONF="$place/slurm.conf"
  mkdir -p /run/munge && chown munge: /run/munge
  pgrep -x munged >/dev/null || runuser -u munge -- munged 2>/dev/null || munged --force
  [ "$(idle)" = 2 ] && return
  slurmctld
  tries=0
  until scontrol ping 2>/dev/null | grep -q 'is UP'; do
    tries=$((tries + 1)); [ "$tries" -lt 100 ] || { echo "slurmctld does not start" >&2; exit 1; }
    sleep 0.2
  done
  slurmd -N n1
  slurmd -N n2
  until [ "$(idle)" = 2 ]; do
    tries=$((tries + 1)); [ "$tries" -lt 200 ] || { echo "the nodes do not become idle" >&2; exit 1; }
    sleep 0.2
  done
}

stop() {
  for file in "$place"/slurmd-n1.pid "$place"/slurmd-n2.pid "$place"/slurmctld.pid; do
    [ ! -f "$file" ] || kill "$(cat "$file")" 2>/dev/null || true
  done
  tries=0
  while [ -f "$place/slurmctld.pid" ] && kill -0 "$(cat "$place/slurmctld.pid")" 2>/dev/null; do
    tries=$((tries + 1)); [ "$tries" -lt 50 ] || break
    sleep 0.2
  done
  rm -rf "$place"
}

case ${1:-} in
  start) start; echo "SLURM is up: eval \"\$(.ci/slurm.sh env)\"" ;;
  stop) stop ;;
  env) echo "export SLURM_CONF='$place/slurm.conf' PPAP_TEST_SLURM='$place'" ;;
  *) echo "usage: $0 start|stop|env" >&2; exit 2 ;;
esac
