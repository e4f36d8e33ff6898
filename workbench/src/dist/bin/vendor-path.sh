# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# Part of every launcher, which sources it without arguments: takes --vendor-path and --engine-path off the
# launcher's own arguments.
#
# Sets vendor_path to jars and directories of more vendors and silicon, or to nothing; engine_path to the directory of
# another engine of explorations, or to nothing. An option takes precedence over the environment. The launcher has a
# function fail. Any POSIX shell does.

vendor_path=${IOMMU4J_VENDOR_PATH:-}
engine_path=${IOMMU4J_ENGINE_PATH:-}
while :; do
  case ${1:-} in
    --vendor-path)
      [ $# -ge 2 ] || fail "--vendor-path: expected jars, with a colon between two"
      vendor_path=$2
      shift 2
      ;;
    --vendor-path=*)
      vendor_path=${1#*=}
      shift
      ;;
    --engine-path)
      [ $# -ge 2 ] || fail "--engine-path: expected a directory with java-options and jars"
      engine_path=$2
      shift 2
      ;;
    --engine-path=*)
      engine_path=${1#*=}
      shift
      ;;
    *) break ;;
  esac
done

if [ -n "$engine_path" ]; then
  [ -r "$engine_path/java-options" ] && [ -d "$engine_path/jars" ] \
    || fail "engine path: no java-options and jars in $engine_path"
fi

# A jar keeps the names of its files uncompressed.
has_service() {
  if [ -d "$1" ]; then
    [ -f "$1/META-INF/services/$2" ]
  else
    LC_ALL=C grep -qF "META-INF/services/$2" "$1"
  fi
}

vendor_rest=$vendor_path
vendor_found=$vendor_path
while [ -n "$vendor_rest" ]; do
  vendor_jar=${vendor_rest%%:*}
  case $vendor_rest in
    *:*) vendor_rest=${vendor_rest#*:} ;;
    *) vendor_rest= ;;
  esac
  [ -n "$vendor_jar" ] || continue
  [ -r "$vendor_jar" ] || fail "vendor path: $vendor_jar is missing or can't be read"
  if has_service "$vendor_jar" org.iommu4j.spi.IommuVendor \
    || has_service "$vendor_jar" org.iommu4j.sim.spi.TranslationUnitProvider; then
    vendor_found=
  fi
done
[ -z "$vendor_found" ] || fail "vendor path: neither a vendor nor silicon in $vendor_found"
