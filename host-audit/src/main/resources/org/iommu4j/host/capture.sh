#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes on a host without Java the tar that 'iommu4j capture FILE.tar' makes there: sh capture.sh [--root DIR] FILE.tar
# It need not be root, but root can read more. Both tars have the same bytes; but here no file is replaced, nothing is
# compressed, and dmesg reads the kernel's log buffer.
set -euf; LC_ALL=C; export LC_ALL; unset CDPATH; umask 077
IFS=$(printf '\n_'); IFS=${IFS%_}
die() { printf 'capture: %s\n' "$1" >&2; exit 2; }
root=/; if [ "${1-}" = --root ] && [ $# -ge 2 ]; then root=$2; shift 2; fi
[ $# = 1 ] || die 'usage: sh capture.sh [--root DIR] FILE.tar'
case $1 in /*) out=$1 ;; *) out=./$1 ;; esac
if [ -e "$out" ] || [ -L "$out" ]; then die "$1: is there already"; fi
for tool in awk cut dd od readlink sed sort tr wc; do command -v $tool >/dev/null || die "$tool: not found"; done
root=$(cd -P -- "$root" && pwd -P) || exit 2; [ "$root" != / ] || root=
begun='' functions=0 headers=0 zeros='\000\000\000\000\000\000\000\000\000\000\000\000\000\000'
zeros=$zeros$zeros$zeros$zeros$zeros$zeros$zeros$zeros$zeros$zeros$zeros$zeros
tmp=$(mktemp -d); trap 'rm -rf "$tmp"; [ -z "$begun" ] || rm -f "$out"' EXIT; trap 'exit 2' HUP INT TERM
for name in missing dirs ids none; do : >"$tmp/$name"; done

# The tar: entries without owner and time, and POSIX headers for long names.
pad() { printf "%.$(($1 * 4))s" "$zeros"; }
block() { # PATH TYPE LINK FILE
  mode=0100644; [ "$2" != 5 ] || mode=0040755
  path=$(printf %.100s "$1") link=$(printf %.100s "$3") size=$(wc -c <"$4")
  fields="$mode 0000000 0000000 $(printf %011o $((size))) 00000000000 "
  sum=$(printf %s "$path$fields        $2${link}ustar000000000 0000000 " | od -An -v -tu1 | tr -s ' \n' '++')
  printf "%s$(pad $((100 - ${#path})))%s%06o\\000 %s%s$(pad $((100 - ${#link})))ustar\\00000$(pad 64)%s$(pad 167)" \
    "$path" "$fields" "$((${sum#+}0))" "$2" "$link" '0000000 0000000 ' >&3
  [ ! -s "$4" ] || dd if="$4" bs=512 conv=sync 2>/dev/null >&3
}
record() { # KEY VALUE, of a long value
  [ ${#2} -ge 100 ] || return 0
  rest=$((${#1} + ${#2} + 3)); bytes=$((rest + ${#rest})); printf '%s %s=%s\n' $((rest + ${#bytes})) "$1" "$2"
}
entry() {
  { record path "$1"; record linkpath "$3"; } >"$tmp/pax"
  [ ! -s "$tmp/pax" ] || block "./PaxHeaders.X/$(printf %s "$1" | tr '\134/' __ | cut -b -84)" x '' "$tmp/pax"
  block "$@"
}

# Files, links and directories, by their path below the root.
plain() { case $1 in '' | *[!\ -~]*) return 1 ;; esac }
missing() { printf '%s\n' "$1" >>"$tmp/missing"; }
keep() { [ ! -d "$root/$1" ] || printf '%s\n' "$1" >>"$tmp/dirs"; }
names() ( # in a directory
  set +f; cd -P -- "$root/$1" 2>/dev/null || exit 0
  for each in *; do ! plain "$each" || { [ ! -e "./$each" ] && [ ! -L "./$each" ]; } || printf '%s\n' "$each"; done
)
take() { [ -f "$root/$1" ] && cat "$root/$1" 2>/dev/null >"$tmp/file" && [ "$(wc -c <"$tmp/file")" -le @MAX@ ]; }
text() { cat >"$tmp/text"; entry "$1" 0 '' "$tmp/text"; }
file() {
  if take "$1"; then case $1 in */@CONFIG@) redact ;; esac; entry "$1" 0 '' "$tmp/file"
  elif [ -r "$root/$1" ]; then missing "$1: can't be read"
  elif [ -e "$root/$1" ]; then missing "$1: permission denied"; fi
}
link() { [ -L "$root/$1" ] && to=$(readlink "$root/$1") && plain "$to" && entry "$1" 2 "$to" "$tmp/none"; }
resolve() { # sets real to the directory that a path names
  real=$(cd -P -- "$root/$1" 2>/dev/null && pwd -P) && case $real in "$root"/*) real=${real#"$root"/};; *) real= ;; esac
  plain "$real"
}
# Left out: Vital Product Data and serial numbers of configuration space, and of texts all but what decides.
redact() {
  size=$(($(wc -c <"$tmp/file"))); [ $size -ge @HEADER@ ] || headers=$((headers + 1))
  od -An -v -tu1 "$tmp/file" | awk -v size="$size" '
    function at(i) { return i < n ? b[i] : 0 }
    function clear(i, count) { if (i < n) print "seek=" i "\ncount=" (i + count > n ? n - i : count) }
    { for (i = 1; i <= NF; i++) b[n++ + 0] = $i + 0 }
    END { if (n + 0 != size) exit 1
      for (o = int(at(6) / 16) % 2 * at(52); o >= 64 && o < 256 && hops++ < 48; o = at(o + 1)) {
        o -= o % 4; if (at(o) == @VITAL@) { clear(o + 4, 4); break } }
      for (o = 256; o >= 256 && o + 4 <= 4096 && steps++ < @HOPS@; o -= o % 4) {
        if (at(o) + 256 * at(o + 1) == @SERIAL@) clear(o + 4, 8)
        o = int(at(o + 2) / 16) + 16 * at(o + 3) } }' >"$tmp/clear" || die 'configuration space: od or awk failed'
  while read -r seek; do
    read -r count; dd if=/dev/zero of="$tmp/file" bs=1 "$seek" "$count" conv=notrunc 2>/dev/null; done <"$tmp/clear"
}
parameters() { # of lines that begin so; others stay
  awk -v lead="$1" '!match($0, lead) { print; next } {
    kept = substr($0, 1, RLENGTH); line = substr($0, RLENGTH + 1); word = gap = ""; quoted = 0
    for (i = 1; i <= length(line) + 1; i++) {
      c = substr(line, i, 1); if (c == "\"") quoted = !quoted
      if (c != "" && (quoted || !index(" \t\n\v\f\r\240", c))) { word = word c; continue }
      if (word == "--") break
      name = word; sub(/=.*/, "", name); gsub(/-/, "_", name)
      if (word !~ /[^!-~]/ && name ~ /^(@PARAMETERS@)$/) { kept = kept gap word; gap = " " }
      word = "" }
    print kept }'
}
anonymous() { sed -E @ANONYMOUS@; }
essence() { tr '\t\r\v\f' ' \n\n\n' | tr -cd '\n -~' | cut -b -@LINE@ | sed -E @ESSENCE@; }

exec 3>"$tmp/tar"; keep @DRIVERS@; keep @UNITS@; for name in $(names @DEVICES@); do
  link "@DEVICES@/$name" || :
  resolve "@DEVICES@/$name" || { missing "@DEVICES@/$name: is a dangling link"; continue; }
  functions=$((functions + 1)) dir=$real
  for part in @FUNCTION@; do
    case $part in
    @LINKS@) if link "$dir/$part" && resolve "$dir/$part"; then keep "$real"; fi ;;
    *) file "$dir/$part" ;; esac; done
  for part in vendor device class; do cat "$root/$dir/$part" 2>/dev/null || echo -; done >>"$tmp/ids"
done
[ $functions -gt 0 ] || die "${root:-/}: no PCI function under @DEVICES@, nothing to capture"
for name in $(names @UNITS@); do
  link "@UNITS@/$name" || :; resolve "@UNITS@/$name" || real=@UNITS@/$name
  keep "$real"; dir=$real
  for driver in $(names "$dir" | sed '/-iommu$/!d'); do
    [ -L "$root/$dir/$driver" ] || for part in $(names "$dir/$driver"); do file "$dir/$driver/$part"; done; done
done
keep @GROUPS@
for name in $(names @GROUPS@); do
  dir=@GROUPS@/$name; keep "$dir"
  for part in @GROUP@; do file "$dir$part"; done
  for part in $(names "$dir/devices"); do link "$dir/devices/$part" || :; done
done
for name in @TABLE_NAMES@; do file "@TABLES@/$name"; done
for name in @FILES@; do file "$name"; done
if take @CMDLINE@; then
  { tr '\n' ' ' <"$tmp/file"; echo; } | parameters '^' | anonymous | text @CMDLINE@
else missing "@NO_CMDLINE@"; fi
for name in @LOGS@ ''; do ! take "$name" || break; done
if [ -n "$name" ] || { [ -z "$root" ] && dmesg -r 2>/dev/null >"$tmp/file" && [ -s "$tmp/file" ]; }; then
  essence <"$tmp/file" | parameters '@LEAD@' | anonymous | text @LOG@
else missing "@NO_LOG@"; fi
for name in @PLACES@ ''; do ! take "$name" || break; done
[ -z "$name" ] || awk 'NR == FNR { id[NR % 3] = substr($0, 3); if (NR % 3) next
    c = "c " substr(id[0], 1, 2); want[id[1]]; want[id[1] " " id[2]]; want[c]; want[c " " substr(id[0], 3, 2)]; next }
    { key = "" } !/^\t/ { key = head = tolower(substr($0, 1, 4)) }
    /^\t[^\t]/ { key = head " " tolower(substr($0, 2, head ~ /^c / ? 2 : 4)) }
    key != "" && key in want' "$tmp/ids" "$tmp/file" | text "$name"
sort -u "$tmp/dirs" >"$tmp/sorted"; while read -r name; do entry "$name/" 5 '' "$tmp/none"; done <"$tmp/sorted"
[ $headers = 0 ] || missing "configuration space of $headers of $functions @ROOT_ONLY@"
sed 's/^/capture: missing: /' "$tmp/missing" >&2
{ cat "$tmp/missing"; [ -s "$tmp/missing" ] || echo 'Nothing is missing.'; } | text @MISSING@
dd if=/dev/zero bs=512 count=2 2>/dev/null >&3; set -C; exec 3>"$out"; begun=1
cat "$tmp/tar" >&3; begun=''
printf '%s: PCI functions %s, IOMMUs %s, groups %s\n' "$1" \
  $functions $(($(names @UNITS@ | wc -l))) $(($(names @GROUPS@ | wc -l)))
