# For tests of programs that must not complain; source it.

# complaints_of FILE: what was written to it as standard error. Where a machine is overloaded the runtime may
# say that a task kept its thread for long, which is no fault of the program and nothing that it must not do.
complaints_of() {
    grep -v "^skua: task '.*' has \(blocked its worker\|computed\) for [0-9]* ms while others were ready" "$1"
}
