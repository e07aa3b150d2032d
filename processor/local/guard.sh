# Runs a program that must not outlive the one that started it, however that one ends: while that
# lives it holds our standard input open. When it closes, the program is asked to stop, then made to.
exec 3<&0
"$@" 3<&- </dev/null &
child=$!
{
  read -r _ <&3
  kill "$child" 2>/dev/null
  for _ in 1 2 3 4 5; do sleep 1; kill -0 "$child" 2>/dev/null || exit 0; done
  kill -9 "$child" 2>/dev/null
} &
watcher=$!
wait "$child"
code=$?
kill "$watcher" 2>/dev/null
exit "$code"
