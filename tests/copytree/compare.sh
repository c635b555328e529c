# copytree against diff and find: sh compare.sh COPYTREE. A tree of awkward files must arrive as it is,
# what cannot be copied must be named, and who is stopped leaves no half of a file.
# covers: A80

copytree=${1:?usage: compare.sh COPYTREE}
temp=$(mktemp -d) || exit 2
trap 'chmod -R u+rwx "$temp"; rm -rf "$temp"' EXIT
export LC_ALL=C
failures=0

fail() {
    failures=$((failures + 1))
    echo "$*"
}

# All that there is to say of a tree but for its contents.
describe() {
    (cd "$1" && find . ! -type d -printf '%P\0%m %y %s %T@ %l\0' | sort -z | tr '\0' '\n')
    (cd "$1" && find . -type d -printf '%P\0%m %T@\0' | sort -z | tr '\0' '\n')
}

same() {
    diff -r --no-dereference "$1" "$2" >"$temp/diff" 2>&1 || { fail "$3: contents differ"; head "$temp/diff"; }
    describe "$1" >"$temp/from.txt"
    describe "$2" >"$temp/to.txt"
    diff "$temp/from.txt" "$temp/to.txt" >"$temp/diff" || { fail "$3: names, modes or times differ"; head "$temp/diff"; }
}

tree=$temp/tree
mkdir -p "$tree/a/b/c" "$tree/empty folder" "$tree/many" "$tree/closed"
echo text >"$tree/plain"
: >"$tree/empty"
echo x >"$tree/new
line"
echo x >"$tree/$(printf 'invalid \377\376')"
echo x >"$tree/a/-rf"
echo x >"$tree/a/b/c/ "
head -c 300001 /dev/urandom >"$tree/a/random"
truncate -s 50M "$tree/a/sparse"
printf end | dd of="$tree/a/sparse" bs=1 seek=30000000 conv=notrunc 2>/dev/null
for i in $(seq 300); do echo "$i" >"$tree/many/$i"; done
ln -s ../plain "$tree/a/link"
ln -s nowhere "$tree/broken"
ln -s . "$tree/a/b/loop"
echo x >"$tree/closed/file"
chmod 640 "$tree/plain"
chmod 751 "$tree/a/random"
chmod 555 "$tree/closed"
touch -d '2001-02-03 04:05:06.789' "$tree/plain" "$tree/a/b" "$tree/closed"

# --- as it is ---
"$copytree" -p "$tree" "$temp/copy" >"$temp/said" 2>&1 || fail "copying gave $?: $(cat "$temp/said")"
same "$tree" "$temp/copy" "a copy"
[ "$(du -k "$temp/copy/a/sparse" | cut -f 1)" -lt 1000 ] || fail "the hole was filled"
grep -q '306 files\|307 files\|308 files\|309 files' "$temp/said" || fail "it says: $(cat "$temp/said")"

# --- once more, over what is there; one file at a time, with few fds ---
echo old >"$temp/copy/plain"
(ulimit -n 80 && "$copytree" -pq -j 1 "$tree" "$temp/copy") || fail "copying over gave $?"
same "$tree" "$temp/copy" "a copy over another"
echo kept >"$temp/copy/plain"
"$copytree" -npq "$tree" "$temp/copy" || fail "not to clobber gave $?"
[ "$(cat "$temp/copy/plain")" = kept ] || fail "-n has clobbered"

# --- into itself ---
mkdir "$temp/outer" && echo x >"$temp/outer/x"
"$copytree" -q "$temp/outer" "$temp/outer/inner" || fail "into itself gave $?"
[ "$(find "$temp/outer" -type f | wc -l)" -eq 2 ] || fail "the copy contains itself"
"$copytree" -q "$temp/outer" "$temp/outer" 2>/dev/null && fail "to itself was accepted"

# --- what cannot be copied ---
mkdir "$temp/bad" && echo x >"$temp/bad/good" && mkfifo "$temp/bad/fi
fo"
"$copytree" -q "$temp/bad" "$temp/bad copy" 2>"$temp/said" && fail "a fifo was copied"
grep -q 'fi\\012fo: not a file' "$temp/said" || fail "of the fifo it says: $(cat "$temp/said")"
[ -f "$temp/bad copy/good" ] || fail "the rest was not copied"
"$copytree" -q "$temp/nowhere" "$temp/x" 2>"$temp/said" && fail "nothing was copied"
grep -q 'No such file' "$temp/said" || fail "of a missing folder it says: $(cat "$temp/said")"

# --- arguments ---
for arguments in "" "one" "-j 0 a b" "-j x a b" "--what a b" "a b c"; do
    "$copytree" $arguments >/dev/null 2>&1
    [ $? -eq 2 ] || fail "arguments '$arguments' were accepted"
done
"$copytree" --help | grep -q Usage || fail "no help"

# --- stopped ---
mkdir "$temp/large"
for i in $(seq 8); do head -c 20000000 /dev/zero >"$temp/large/$i"; done
"$copytree" -q --durable "$temp/large" "$temp/stopped" 2>/dev/null &
stopped=$!
while [ -z "$(ls -A "$temp/stopped" 2>/dev/null)" ] && kill -0 $stopped 2>/dev/null; do sleep 0.01; done
kill -TERM $stopped 2>/dev/null # in the background of a script SIGINT is ignored
wait $stopped
for file in $(ls -A "$temp/stopped"); do
    cmp "$temp/stopped/$file" "$temp/large/$file" || fail "$file is not whole"
done

[ "$failures" -eq 0 ]
