# Includes go strictly downward. See README.md.

# Rooms by floor.
floors='base:0 arch:0 mem:1 topo:1 sched:2 sync:3 chan:3 group:3 par:3 gen:3 blocking:3 io:4
        net:5 file:5 process:5 pool:5 observe:5 testing:5 cluster:6 ext:6'
# The room of each public header that is not called like its room.
homes='task:sched scope:sched runtime:sched local:sched fork:sched control:sched
       meet:sync limit:sync select:chan queue:chan share:chan gather:group retry:group
       stream:gen collect:gen transfer:io reader:io resolve:net serve:net conn_pool:net
       dir:file signal:process tls:ext job:pool pool_map:pool pool_watch:pool cluster_transport:cluster'
# What arch may use of its neighbour base.
neighbours='arch/base/atomic.h arch/base/compiler.h'
# What a public header may include besides <skua/...>.
libc='assert|ctype|errno|fcntl|inttypes|limits|math|netdb|poll|pthread|signal|stdarg|stdbool|stddef|'
libc="$libc"'stdint|stdio|stdlib|string|time|unistd|(sys|net|netinet|arpa)/[a-z_]+'

. "$(dirname "$0")/lib.sh"

keep=1
{
    code $(files src) | awk -F '\t' -v floors="$floors" -v homes="$homes" -v neighbours="$neighbours" '
    function say(rule) { print $1 ":" $2 ": " rule }
    BEGIN {
        n = split(floors, list, /[ \n]+/)
        for (i = 1; i <= n; i++) { split(list[i], part, ":"); floor[part[1]] = part[2] }
        n = split(homes, list, " ")
        for (i = 1; i <= n; i++) { split(list[i], part, ":"); home[part[1]] = part[2] }
        n = split(neighbours, list, " ")
        for (i = 1; i <= n; i++) allowed[list[i]] = 1
    }
    $3 ~ /^[ ]*#[ ]*include[ ]*["<]/ {
        split($1, path, "/")
        room = path[2]
        if (!(room in floor)) {
            say("src/" room " has no floor: add it to the table of floors.sh")
            next
        }
        match($3, /["<][^">]*/)
        quote = substr($3, RSTART, 1)
        name = substr($3, RSTART + 1, RLENGTH - 1)
        slash = index(name, "/")
        target = slash ? substr(name, 1, slash - 1) : ""
        if (quote == "<") {
            if (target != "skua") next
            header = substr(name, slash + 1)
            sub(/\.h$/, "", header)
            if (header == "skua") { say("src does not include the umbrella <skua/skua.h>"); next }
            target = header in home ? home[header] : header
            if (!(target in floor)) say("<" name "> has no room: add it to the table of floors.sh")
            else if (floor[target] > floor[room]) {
                say("floor " floor[room] " (" room ") includes <" name "> of floor " floor[target])
            }
        } else if (target == "" || !(target in floor)) {
            say("\"" name "\": write \"room/file.h\", and <skua/...> for public headers")
        } else if (target != room && floor[target] == floor[room]) {
            if (!((room "/" name) in allowed)) {
                say(room " and " target " are on one floor: they meet only through <skua/...>")
            }
        } else if (floor[target] > floor[room]) {
            say("floor " floor[room] " (" room ") includes \"" name "\" of floor " floor[target])
        }
    }'
    code $(files include/skua) | awk -F '\t' -v libc="^(skua/[a-z_]+|$libc)\\.h\$" '
    $3 ~ /^[ ]*#[ ]*include/ {
        match($3, /["<][^">]*/)
        name = substr($3, RSTART + 1, RLENGTH - 1)
        if (substr($3, RSTART, 1) != "<" || name !~ libc) {
            print $1 ":" $2 ": public headers include <skua/...> and libc headers, not " name
        }
    }'
} | report
