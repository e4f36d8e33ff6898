// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.report;

import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.iommu4j.sim.trace.Trace;
import org.iommu4j.sim.trace.TraceKind;
import org.iommu4j.sim.verdict.StaleRead;
import org.iommu4j.workbench.scenario.Outcome;
import org.iommu4j.workbench.scenario.TimelineEntry;
import org.iommu4j.workbench.scenario.TracedEvent;
import org.jspecify.annotations.Nullable;

/**
 * What happened to one word of memory in a run: where its values were from when to when, who moved them, and which
 * reads were wrong.
 *
 * <p>It is replayed from the events of the timeline alone. Each write makes a new version of the word; a place that has
 * an earlier version is old, even where the values are equal by chance.
 */
final class WordStory {
    private static final long LINE = 64;
    private static final long PAGE = 4096;

    /** Memory before the first write: zeros. */
    private static final Copy FIRST = new Copy(0, 0);

    /** Of a value that no event explains. */
    private static final int UNKNOWN = -1;

    /**
     * A value in a place.
     *
     * @param version counts the writes to the word, from 1
     */
    record Copy(long value, int version) {}

    /**
     * A value in a place for some time.
     *
     * @param from the first row, -1 for what was there before
     * @param to the row that ends it, the number of rows where it stays to the end
     */
    record Stay(Place place, int from, int to, long value, Freshness freshness) {}

    /** How something goes from one place to another. */
    enum Way {
        /** A load, a store, or a line that moves. */
        PLAIN,
        /** A flush: nothing moves by itself. */
        FLUSH,
        /** A device's request that looks into the caches. */
        SNOOPED,
        /** A device's request past the caches. */
        NO_SNOOP
    }

    /** An arrow of a row. */
    record Move(Place from, Place to, Way way) {}

    /**
     * A row, of one or more entries of the timeline.
     *
     * @param first number of the first entry
     * @param last number of the last entry
     * @param words what happens, in few words
     * @param moves what goes where; empty for a note
     * @param copies what is where after it
     */
    record Row(int first, int last, String words, List<Move> moves, Map<Place, Shown> copies, TraceKind kind) {
        boolean isNote() {
            return kind == TraceKind.NOTE;
        }
    }

    /** A value in a place at one time. */
    record Shown(long value, Freshness freshness) {}

    /**
     * A flush that a CPU, or a guest on it, asked for.
     *
     * @param row its row
     * @param who who asked
     * @param byGuest whether a guest asked, so that a host had to do it
     * @param later whether it waits until the CPU orders its stores
     * @param caches the caches that were flushed, or will be
     */
    record Flush(int row, int at, String who, boolean byGuest, boolean later, Set<Place> caches) {}

    /**
     * A read that did not see the last write, with what led to it.
     *
     * @param read the verdict's
     * @param row the row of the read
     * @param write the row of the last write, -1 for one before the case
     * @param holders where the last write's value was
     * @param source where the value that was seen came from
     * @param lostAt the row in which the last copy of it went, -1 while there is one
     * @param loser the place whose line went over it, or which dropped it; null while there is one
     * @param flushes what was asked for between the write and the read by the CPU that they concern
     */
    record WrongRead(
            StaleRead read,
            int row,
            int write,
            Set<Place> holders,
            Place source,
            int lostAt,
            @Nullable Place loser,
            List<Flush> flushes) {}

    private final long word;
    private final List<TimelineEntry> entries;
    private final List<TracedEvent> earlier;
    private final List<StaleRead> staleReads;
    private final List<Row> rows = new ArrayList<>();
    private final List<Stay> stays = new ArrayList<>();
    private final List<Flush> flushes = new ArrayList<>();
    private final List<WrongRead> wrongReads = new ArrayList<>();
    private final List<String> unexplained = new ArrayList<>();
    private final Set<Place> places = new TreeSet<>();
    private final Map<String, Place> actors = new HashMap<>();

    private final Map<Place, Copy> copies = new TreeMap<>();
    private final Map<Place, Stay> open = new TreeMap<>();
    /** Lines that left a cache and are on their way to another. */
    private final List<Copy> moving = new ArrayList<>();
    /** CPUs that stored to the line through their write-combining buffer, or asked to flush it, and no fence since. */
    private final Set<Integer> waiting = new HashSet<>();

    private int newest;
    private int lastWrite = -1;
    private @Nullable String lastWriter;
    private int lostAt = -1;
    private @Nullable Place loser;

    private WordStory(Outcome outcome, long word) {
        this.word = word;
        entries = outcome.timeline();
        earlier = outcome.earlier();
        staleReads = outcome.staleReads().stream()
                .filter(read -> (read.address() & -8L) == word)
                .toList();
    }

    /** Returns the story of one word. */
    static WordStory of(Outcome outcome, long word) {
        WordStory story = new WordStory(outcome, word);
        story.replay();
        return story;
    }

    /** Returns the stories of a run, those with wrong reads first: one for each word that a device read or wrote. */
    static List<WordStory> of(Outcome outcome) {
        Set<Long> words = new LinkedHashSet<>();
        for (TimelineEntry entry : outcome.timeline()) {
            TracedEvent event = entry.event();
            if (isDma(event) && !event.has(Trace.FAULT)) {
                words.add(event.address() & -8L);
            }
        }
        List<WordStory> stories = new ArrayList<>();
        words.forEach(word -> stories.add(of(outcome, word)));
        stories.sort(Comparator.comparing(story -> story.staleReads.isEmpty()));
        return stories;
    }

    /** Returns the word's address. */
    long word() {
        return word;
    }

    /** Returns the lanes from left to right. */
    Collection<Place> places() {
        return places;
    }

    /** Returns what happened, from top to bottom. */
    List<Row> rows() {
        return rows;
    }

    /** Returns what was where. */
    List<Stay> stays() {
        return stays;
    }

    /** Returns the flushes. */
    List<Flush> flushes() {
        return flushes;
    }

    /** Returns the wrong reads, in order. */
    List<WrongRead> wrongReads() {
        return wrongReads;
    }

    /** Returns the cache from which the source of a wrong read took its line in the same row. */
    Optional<Place> origin(WrongRead wrong) {
        return rows.get(wrong.row()).moves().stream()
                .skip(1)
                .filter(move -> move.to().equals(wrong.source()))
                .map(Move::from)
                .findFirst();
    }

    /** Returns whether the last copy of a wrong read's right value was dropped, and not overwritten. */
    boolean isDropped(WrongRead wrong) {
        return wrong.lostAt() >= 0
                && rows.get(wrong.lostAt()).moves().stream()
                        .anyMatch(move ->
                                move.from().equals(move.to()) && move.from().equals(wrong.loser()));
    }

    /** Returns the reads whose value was not where the replay has it: none, unless the replay is wrong. */
    List<String> unexplained() {
        return unexplained;
    }

    private static boolean isDma(TracedEvent event) {
        return event.kind() == TraceKind.DMA_READ || event.kind() == TraceKind.DMA_WRITE;
    }

    private boolean isAboutLine(TracedEvent event) {
        return event.isAbout(word & -LINE);
    }

    private boolean isAboutWord(TracedEvent event) {
        return isAboutLine(event) && (event.address() & -8L) == word;
    }

    private boolean isShown(TimelineEntry entry) {
        TracedEvent event = entry.event();
        return switch (event.kind()) {
            case NOTE -> event.address() == -1 || (event.address() & -PAGE) == (word & -PAGE);
            case GUEST_WBINVD, WBINVD, WBNOINVD, INVD, SFENCE, INTERRUPT, PAGE_REQUEST -> true;
            case DMA_READ, DMA_WRITE -> event.has(Trace.FAULT) || isAboutLine(event);
            default -> isAboutLine(event);
        };
    }

    private Place actor(TimelineEntry entry, Place.Kind kind) {
        return actors.computeIfAbsent(entry.who(), who -> new Place(kind, actors.size(), who));
    }

    private void replay() {
        copies.put(Place.MEMORY, FIRST);
        earlier.stream().filter(this::isAboutLine).forEach(this::before);
        follow(-1);
        List<TimelineEntry> shown = entries.stream().filter(this::isShown).toList();
        Set<TimelineEntry> done = new LinkedHashSet<>();
        for (int i = 0; i < shown.size(); i++) {
            TimelineEntry entry = shown.get(i);
            if (done.contains(entry)) {
                continue;
            }
            switch (entry.event().kind()) {
                case GUEST_WBINVD, WBINVD, WBNOINVD -> flush(shown, i, done);
                case INVD -> discard(entry);
                case CLFLUSH, CLFLUSHOPT, CLWB -> flushLine(entry);
                case SFENCE -> fence(entry);
                case FILL, EVICT, INVALIDATE, WRITE_BACK -> i = move(shown, i);
                case DRAIN -> drain(entry);
                case LOAD, STORE -> access(entry, entry.at(), Optional.empty());
                case DMA_READ, DMA_WRITE -> dma(entry, entry.at());
                case INTERRUPT, PAGE_REQUEST -> {
                    Place device = actor(entry, Place.Kind.DEVICE);
                    row(entry.at(), entry, entry.text(), List.of(new Move(device, device, Way.PLAIN)));
                }
                default -> row(entry.at(), entry, entry.text(), List.of());
            }
        }
        wrongMemory();
        trim();
        open.values().forEach(stay -> stays.add(until(stay, rows.size())));
        open.clear();
        stays.sort(Comparator.comparing(Stay::place).thenComparing(Stay::from));
        rows.replaceAll(this::withoutEmptyCaches);
        rows.forEach(row -> row.moves().forEach(move -> {
            places.add(move.from());
            places.add(move.to());
        }));
        stays.forEach(stay -> places.add(stay.place()));
    }

    /** Replays what happened before the case, without rows. */
    private void before(TracedEvent event) {
        Place cache = Place.cache(event.source());
        switch (event.kind()) {
            case FILL -> fill(cache, event.word(word));
            case WRITE_BACK -> writeBack(cache, event.word(word));
            case EVICT, INVALIDATE -> leave(cache);
            case DRAIN -> drained(event);
            case STORE -> stored(event, () -> written(event, target(event)));
            case DMA_WRITE, UNIT_WRITE -> deviceWrote(event, () -> written(event, target(event)));
            default -> {
                // Reads change nothing.
            }
        }
    }

    /** Leaves out flushes of caches that never have the line, unless there is no other in the row. */
    private Row withoutEmptyCaches(Row row) {
        List<Move> useful = row.moves().stream()
                .filter(move -> move.way() != Way.FLUSH
                        || stays.stream().anyMatch(stay -> stay.place().equals(move.to())))
                .toList();
        return useful.isEmpty() ? row : new Row(row.first(), row.last(), row.words(), useful, row.copies(), row.kind());
    }

    /** Leaves out what comes after the last event of the line, where nothing is wrong at the end. */
    private void trim() {
        int end = rows.size();
        while (end > 0
                && !isAboutLine(entries.get(rows.get(end - 1).last() - 1).event())
                && (wrongReads.isEmpty()
                        || wrongReads.get(wrongReads.size() - 1).row() < end - 1)) {
            end--;
        }
        rows.subList(end, rows.size()).clear();
        int shown = end;
        flushes.removeIf(flush -> flush.row() >= shown);
    }

    /** Adds a row after its effect on copies. */
    private void row(int first, TimelineEntry last, String words, List<Move> moves) {
        int number = rows.size();
        follow(number);
        Map<Place, Shown> now = new TreeMap<>();
        copies.forEach((place, copy) -> now.put(place, new Shown(copy.value(), freshness(place))));
        rows.add(new Row(first, last.at(), words, moves, now, last.event().kind()));
    }

    /** Ends the stays that a row ends, and begins others. */
    private void follow(int row) {
        for (Place place : Set.copyOf(open.keySet())) {
            Stay stay = open.get(place);
            Copy copy = copies.get(place);
            if (stay != null
                    && (copy == null || copy.value() != stay.value() || freshness(place) != stay.freshness())) {
                stays.add(until(stay, row));
                open.remove(place);
            }
        }
        copies.forEach((place, copy) ->
                open.computeIfAbsent(place, unused -> new Stay(place, row, row, copy.value(), freshness(place))));
        if (copies.values().stream().anyMatch(copy -> copy.version() == newest)) {
            lostAt = -1;
        } else if (lostAt < 0) {
            lostAt = row;
        }
    }

    private static Stay until(Stay stay, int row) {
        return new Stay(stay.place(), stay.from(), row, stay.value(), stay.freshness());
    }

    private Freshness freshness(Place place) {
        Copy copy = copies.get(place);
        if (copy == null || copy.version() != newest) {
            return Freshness.OLD;
        }
        Copy memory = copies.getOrDefault(Place.MEMORY, FIRST);
        return memory.version() == newest ? Freshness.NEWEST : Freshness.ONLY_CACHED;
    }

    private boolean isWhole(TracedEvent event) {
        return !event.has(Trace.HALF);
    }

    private void written(TimelineEntry entry, Place place) {
        written(entry.event(), place);
        lastWrite = rows.size();
        lastWriter = entry.who();
    }

    private void written(TracedEvent event, Place place) {
        long value = event.value();
        if (!isWhole(event)) {
            long before = copies.getOrDefault(place, FIRST).value();
            int shift = (int) (event.address() & 4) * 8;
            long half = 0xffff_ffffL << shift;
            value = (before & ~half) | (value << shift & half);
        }
        newest++;
        lostAt = -1;
        loser = null;
        copies.put(place, new Copy(value, newest));
    }

    // ---- what moves ----------------------------------------------------------------------------------------------

    /** Replays a line's movement, with what belongs to it; returns the index of the last entry that it took. */
    private int move(List<TimelineEntry> shown, int at) {
        TimelineEntry entry = shown.get(at);
        TracedEvent event = entry.event();
        Place cache = Place.cache(event.source());
        TimelineEntry next = at + 1 < shown.size() ? shown.get(at + 1) : null;
        switch (event.kind()) {
            case FILL -> {
                Optional<Place> from = fill(cache, event.word(word));
                if (next != null
                        && (next.event().kind() == TraceKind.LOAD
                                || next.event().kind() == TraceKind.STORE)
                        && next.event().source() == event.source()) {
                    access(
                            next,
                            entry.at(),
                            from.filter(place -> place.isCache() && next.event().kind() == TraceKind.LOAD));
                    return at + 1;
                }
                if (next != null
                        && next.event().kind() == TraceKind.DMA_WRITE
                        && !next.event().has(Trace.UNSNOOPED | Trace.FAULT)
                        && event.source() < 0) {
                    dma(next, entry.at());
                    return at + 1;
                }
                row(entry.at(), entry, "fills", List.of(new Move(from.orElse(Place.MEMORY), cache, Way.PLAIN)));
                return at;
            }
            case WRITE_BACK -> {
                writeBack(cache, event.word(word));
                TimelineEntry last = entry;
                if (next != null
                        && (next.event().kind() == TraceKind.INVALIDATE
                                || next.event().kind() == TraceKind.EVICT)
                        && next.event().source() == event.source()) {
                    copies.remove(cache);
                    last = next;
                } else if (cache.kind() == Place.Kind.CACHE) {
                    toShared(cache);
                }
                row(entry.at(), last, "writes back", List.of(new Move(cache, Place.MEMORY, Way.PLAIN)));
                return last.equals(entry) ? at : at + 1;
            }
            default -> {
                if (event.kind() == TraceKind.EVICT && event.has(Trace.DIRTY) && cache.kind() == Place.Kind.CACHE) {
                    toShared(cache);
                }
                leave(cache);
                row(entry.at(), entry, "drops it", List.of(new Move(cache, cache, Way.PLAIN)));
                return at;
            }
        }
    }

    private void leave(Place cache) {
        Copy gone = copies.remove(cache);
        if (gone != null) {
            moving.add(gone);
            if (gone.version() == newest) {
                loser = cache;
            }
        }
    }

    /** A shared cache that has a line from a private one already takes its newer words without an event. */
    private void toShared(Place cache) {
        Copy copy = copies.get(cache);
        if (copy != null) {
            copies.computeIfPresent(Place.SHARED_CACHE, (shared, old) -> copy);
        }
    }

    /** Replays words that leave a write-combining buffer. */
    private void drain(TimelineEntry entry) {
        Place buffer = Place.buffer(entry.event().source());
        boolean here = copies.containsKey(buffer);
        drained(entry.event());
        row(
                entry.at(),
                entry,
                here ? "drains" : "drains another word",
                List.of(new Move(buffer, Place.MEMORY, Way.PLAIN)));
    }

    private void drained(TracedEvent event) {
        Place buffer = Place.buffer(event.source());
        Copy copy = copies.remove(buffer);
        if (copy != null) {
            copies.put(Place.MEMORY, copy);
            if (copy.version() != newest) {
                loser = buffer;
            }
        }
    }

    /** Takes the newest copy with that value; which one is not recorded, and equal values look the same. */
    private Optional<Place> fill(Place cache, long value) {
        Place peer = copies.keySet().stream()
                .filter(place -> place.kind() == Place.Kind.CACHE && !place.equals(cache))
                .findFirst()
                .orElse(null);
        if (peer != null && cache.kind() == Place.Kind.CACHE) {
            toShared(peer);
        }
        Optional<Map.Entry<Place, Copy>> from = copies.entrySet().stream()
                .filter(each -> each.getKey().kind() != Place.Kind.BUFFER
                        && each.getValue().value() == value)
                .max(Comparator.comparingInt(
                                (Map.Entry<Place, Copy> each) -> each.getValue().version())
                        .thenComparing(each -> each.getKey().equals(Place.MEMORY) ? 0 : 1));
        int version = Math.max(
                from.map(each -> each.getValue().version()).orElse(UNKNOWN),
                moving.stream()
                        .filter(copy -> copy.value() == value)
                        .mapToInt(Copy::version)
                        .max()
                        .orElse(UNKNOWN));
        moving.clear();
        copies.put(cache, new Copy(value, version));
        return from.map(Map.Entry::getKey);
    }

    private void writeBack(Place cache, long value) {
        Copy copy = copies.get(cache);
        int version = copy == null || copy.value() != value ? UNKNOWN : copy.version();
        copies.put(Place.MEMORY, new Copy(value, version));
        if (version != newest) {
            loser = cache;
        }
    }

    // ---- who reads and writes ------------------------------------------------------------------------------------

    /** Returns the place that an access of a CPU meets, or a write of a device. */
    private Place target(TracedEvent event) {
        if (isDma(event) || event.kind() == TraceKind.UNIT_WRITE) {
            return !event.has(Trace.UNSNOOPED) && copies.containsKey(Place.SHARED_CACHE)
                    ? Place.SHARED_CACHE
                    : Place.MEMORY;
        }
        boolean store = event.kind() == TraceKind.STORE;
        if (event.has(Trace.WRITE_COMBINING)) {
            return store ? Place.buffer(event.source()) : Place.MEMORY;
        }
        boolean past =
                event.has(Trace.UNCACHEABLE) || (store && event.has(Trace.WRITE_THROUGH | Trace.WRITE_PROTECTED));
        Place cache = Place.cache(event.source());
        return !past && copies.containsKey(cache) ? cache : Place.MEMORY;
    }

    /** Makes a store's value the newest, and takes it into the caches that a store through them changes. */
    private void stored(TracedEvent event, Runnable write) {
        if (isAboutWord(event)) {
            write.run();
        }
        if (event.has(Trace.WRITE_THROUGH)) {
            Copy memory = copies.getOrDefault(Place.MEMORY, FIRST);
            copies.computeIfPresent(Place.cache(event.source()), (cache, old) -> memory);
            copies.computeIfPresent(Place.SHARED_CACHE, (cache, old) -> memory);
        }
    }

    /**
     * Makes a device's value the newest. A snooped write empties all caches, unless it goes to the shared one, which
     * then has the words of the private ones that were emptied.
     */
    private void deviceWrote(TracedEvent event, Runnable write) {
        if (target(event).equals(Place.SHARED_CACHE)) {
            moving.stream()
                    .max(Comparator.comparingInt(Copy::version))
                    .ifPresent(copy -> copies.put(Place.SHARED_CACHE, copy));
        }
        moving.clear();
        if (isAboutWord(event) && !event.has(Trace.FAULT)) {
            write.run();
        }
    }

    /**
     * Replays a load or a store.
     *
     * @param filledFrom the cache from which the CPU's own took the line for it
     */
    private void access(TimelineEntry entry, int first, Optional<Place> filledFrom) {
        TracedEvent event = entry.event();
        Place actor = actor(entry, Place.Kind.ACTOR);
        Place place = target(event);
        boolean store = event.kind() == TraceKind.STORE;
        boolean here = isAboutWord(event);
        moving.clear();
        if (store) {
            stored(event, () -> written(entry, place));
            if (event.has(Trace.WRITE_COMBINING)) {
                waiting.add(event.source());
            }
        }
        String words =
                (store ? "stores " : "loads ") + (here ? Values.of(event.value()) : "another word") + type(event);
        List<Move> moves = new ArrayList<>();
        moves.add(store ? new Move(actor, place, Way.PLAIN) : new Move(place, actor, Way.PLAIN));
        filledFrom.ifPresent(other -> moves.add(new Move(other, place, Way.PLAIN)));
        row(first, entry, words, moves);
        if (!store && here) {
            read(entry, place);
        }
    }

    private static String type(TracedEvent event) {
        if (event.has(Trace.UNCACHEABLE)) {
            return " uncached";
        }
        if (event.has(Trace.WRITE_COMBINING)) {
            return " as WC";
        }
        if (event.has(Trace.WRITE_THROUGH)) {
            return " as WT";
        }
        return event.has(Trace.WRITE_PROTECTED) ? " as WP" : "";
    }

    private void dma(TimelineEntry entry, int first) {
        TracedEvent event = entry.event();
        Place device = actor(entry, Place.Kind.DEVICE);
        if (event.has(Trace.FAULT)) {
            row(entry.at(), entry, entry.text(), List.of(new Move(device, device, Way.PLAIN)));
            return;
        }
        boolean past = event.has(Trace.UNSNOOPED);
        Way way = past ? Way.NO_SNOOP : Way.SNOOPED;
        boolean here = isAboutWord(event);
        String value = here ? Values.of(event.value()) : "another word";
        String route = event.has(Trace.NO_SNOOP_BLOCKED) ? ", no-snoop blocked" : past ? ", no-snoop" : ", snooped";
        if (event.kind() == TraceKind.DMA_WRITE) {
            Place place = target(event);
            deviceWrote(event, () -> written(entry, place));
            row(first, entry, "writes " + value + route, List.of(new Move(device, place, way)));
            return;
        }
        Place source = past ? Place.MEMORY : snooped();
        row(entry.at(), entry, "reads " + value + route, List.of(new Move(source, device, way)));
        if (here) {
            read(entry, source);
        }
    }

    /** Returns where a snooped read finds the word: a CPU's own cache first. */
    private Place snooped() {
        return copies.keySet().stream()
                .filter(Place::isCache)
                .min(Comparator.naturalOrder())
                .orElse(Place.MEMORY);
    }

    private void read(TimelineEntry entry, Place source) {
        Copy copy = copies.get(source);
        if (isWhole(entry.event())
                && (copy == null || copy.value() != entry.event().value())) {
            unexplained.add(entry.at() + ": " + entry.text() + ", expected " + copy + " in " + source.name());
        }
        staleReads.stream()
                .filter(read -> read.at() == entry.at())
                .forEach(read -> wrong(read, rows.size() - 1, source, entry));
    }

    private void wrong(StaleRead read, int row, Place source, @Nullable TimelineEntry reader) {
        Set<Place> holders = new TreeSet<>();
        copies.forEach((place, copy) -> {
            if (copy.version() == newest) {
                holders.add(place);
            }
        });
        String cpu = reader != null && reader.lane() == TimelineEntry.Lane.CPU ? reader.who() : lastWriter;
        List<Flush> asked = flushes.stream()
                .filter(flush -> flush.row() > lastWrite
                        && flush.row() < row
                        && flush.who().equals(cpu)
                        && (!flush.later() || holders.stream().anyMatch(Place::isCache)))
                .toList();
        wrongReads.add(new WrongRead(read, row, lastWrite, holders, source, lostAt, lostAt < 0 ? null : loser, asked));
    }

    /** Memory is compared when all is over; there is no reader. */
    private void wrongMemory() {
        if (rows.isEmpty()) {
            return;
        }
        int end = rows.size() - 1;
        staleReads.stream().filter(StaleRead::ofMemory).forEach(read -> wrong(read, end, Place.MEMORY, null));
    }

    // ---- who flushes ---------------------------------------------------------------------------------------------

    /** Replays WBINVD or WBNOINVD with all CPUs on which it ran; what it wrote back stays to be replayed. */
    private void flush(List<TimelineEntry> shown, int at, Set<TimelineEntry> done) {
        TimelineEntry first = shown.get(at);
        boolean byGuest = first.event().kind() == TraceKind.GUEST_WBINVD;
        Place actor = actor(first, Place.Kind.ACTOR);
        Set<Place> caches = new TreeSet<>();
        TimelineEntry last = first;
        int adjacent = at;
        for (int i = byGuest ? at + 1 : at; i < shown.size(); i++) {
            TimelineEntry entry = shown.get(i);
            TraceKind kind = entry.event().kind();
            if ((kind == TraceKind.WBINVD || kind == TraceKind.WBNOINVD)
                    && entry.who().equals(first.who())) {
                caches.add(Place.cache(entry.event().source()));
                done.add(entry);
                if (i <= adjacent + 1) {
                    last = entry;
                    adjacent = i;
                }
            } else if (kind != TraceKind.WRITE_BACK && kind != TraceKind.INVALIDATE && kind != TraceKind.DRAIN) {
                break;
            }
        }
        List<Move> moves = new ArrayList<>();
        caches.forEach(cache -> moves.add(new Move(actor, cache, Way.FLUSH)));
        if (moves.isEmpty()) {
            moves.add(new Move(actor, actor, Way.FLUSH));
        }
        flushes.add(new Flush(rows.size(), first.at(), first.who(), byGuest, false, caches));
        String instruction = first.event().kind() == TraceKind.WBNOINVD ? "WBNOINVD" : "WBINVD";
        row(first.at(), last, caches.isEmpty() ? instruction + ", no effect" : instruction, moves);
    }

    private void flushLine(TimelineEntry entry) {
        TraceKind kind = entry.event().kind();
        Place actor = actor(entry, Place.Kind.ACTOR);
        Set<Place> caches = new TreeSet<>();
        copies.keySet().stream().filter(Place::isCache).forEach(caches::add);
        List<Move> moves = new ArrayList<>();
        caches.forEach(cache -> moves.add(new Move(actor, cache, Way.FLUSH)));
        if (moves.isEmpty()) {
            moves.add(new Move(actor, Place.MEMORY, Way.FLUSH));
        }
        boolean later = kind != TraceKind.CLFLUSH;
        if (later) {
            waiting.add(entry.event().source());
        }
        flushes.add(new Flush(rows.size(), entry.at(), entry.who(), false, later, caches));
        row(
                entry.at(),
                entry,
                switch (kind) {
                    case CLWB -> "CLWB, done by a fence";
                    case CLFLUSHOPT -> "CLFLUSHOPT, done by a fence";
                    default -> "flushes the line";
                },
                moves);
    }

    /** Replays INVD, which is no flush: what it empties is dropped in rows of its own. */
    private void discard(TimelineEntry entry) {
        Place actor = actor(entry, Place.Kind.ACTOR);
        row(
                entry.at(),
                entry,
                "INVD",
                List.of(new Move(actor, Place.cache(entry.event().source()), Way.FLUSH)));
    }

    /** Replays SFENCE where something of the line may wait for it. */
    private void fence(TimelineEntry entry) {
        int cpu = entry.event().source();
        if (waiting.remove(cpu)) {
            Place actor = actor(entry, Place.Kind.ACTOR);
            Place buffer = Place.buffer(cpu);
            row(
                    entry.at(),
                    entry,
                    "SFENCE",
                    List.of(new Move(actor, copies.containsKey(buffer) ? buffer : actor, Way.FLUSH)));
        }
    }
}
