// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.vendor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalLong;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.spi.KernelLog;
import org.iommu4j.spi.KernelRemark;
import org.iommu4j.tck.Promise;
import org.iommu4j.tck.VendorBench;
import org.junit.jupiter.api.Test;

/** {@link org.iommu4j.spi.KernelLog}. */
public abstract class KernelLogContract {
    /** The most characters of a line that a reader gets. */
    private static final int LONGEST_LINE = 8192;

    private static final int SHORTEST_WORD = 4;

    /** Made by JUnit. */
    protected KernelLogContract() {}

    /** Returns lines that the driver prints; none where it has no reader of them. */
    protected abstract List<String> lines();

    @Test
    @Promise("log-words-2")
    void wordsHaveFourCharactersAndStayTheSame(VendorBench bench) {
        KernelLog log = bench.vendor().kernelLog();
        List<String> words = log.words();
        assertThat(words).doesNotHaveDuplicates().allSatisfy(word -> {
            assertThat(word.length()).as("characters of '%s'", word).isGreaterThanOrEqualTo(SHORTEST_WORD);
            assertThat(word.strip().length())
                    .as("characters of '%s' that are no spaces", word)
                    .isGreaterThanOrEqualTo(SHORTEST_WORD);
            assertThat(word).as("printable").matches("[ -~]+");
        });
        lines().forEach(line -> findings(log, line));
        assertThat(log.words()).as("words after lines").isEqualTo(words);
    }

    @Test
    @Promise("log-words-1")
    void eachLineOfTheDriverHasAWord(VendorBench bench) {
        List<String> words = bench.vendor().kernelLog().words();
        assertThat(lines().isEmpty())
                .as("the driver has lines if its reader has words %s", words)
                .isEqualTo(words.isEmpty());
        assertThat(lines()).allSatisfy(line -> assertThat(words).anyMatch(line::contains));
    }

    @Test
    @Promise({"log-words-1", "log-words-2"})
    void aLineWithoutAWordTellsNothing(VendorBench bench) {
        KernelLog log = bench.vendor().kernelLog();
        List<String> words = log.words();
        List<String> silent = new ArrayList<>();
        for (String line : lines()) {
            String without = line;
            String otherCase = line;
            for (String word : words) {
                without = without.replace(word, "");
                otherCase = otherCase.replace(word, swapCase(word));
            }
            silent.add(without);
            silent.add(otherCase);
        }
        Random random = bench.random();
        for (int i = 0; i < 300; i++) {
            silent.add(Noise.text(random, random.nextInt(200)));
        }
        for (String line : silent) {
            if (words.stream().noneMatch(line::contains)) {
                assertThat(findings(log, line)).as("findings in '%s'", line).isEmpty();
            }
        }
    }

    private static String swapCase(String word) {
        String lower = word.toLowerCase(Locale.ROOT);
        return lower.equals(word) ? word.toUpperCase(Locale.ROOT) : lower;
    }

    @Test
    @Promise("log-1")
    void aLineMeansTheSameWhateverWasReadBefore(VendorBench bench) {
        Random random = bench.random();
        List<String> lines = new ArrayList<>(lines());
        for (int i = 0; i < 50; i++) {
            lines.add(hostile(random, bench.vendor().kernelLog().words()));
        }
        List<List<String>> alone = new ArrayList<>();
        for (String line : lines) {
            alone.add(findings(bench.vendor().kernelLog(), line));
        }
        KernelLog log = bench.vendor().kernelLog();
        List<Integer> order = new ArrayList<>();
        for (int i = 0; i < lines.size(); i++) {
            order.add(i);
        }
        for (int round = 0; round < 6; round++) {
            Collections.shuffle(order, random);
            for (int i : order) {
                assertThat(findings(log, lines.get(i)))
                        .as("findings in '%s' after other lines", lines.get(i))
                        .isEqualTo(alone.get(i));
            }
        }
    }

    @Test
    @Promise("log-1")
    void threadsReadTheirOwnLines(VendorBench bench) throws Exception {
        KernelLog log = bench.vendor().kernelLog();
        List<String> lines = lines();
        List<List<String>> alone = new ArrayList<>();
        lines.forEach(line -> alone.add(findings(bench.vendor().kernelLog(), line)));
        ExecutorService threads = Executors.newFixedThreadPool(2);
        try {
            List<Future<Integer>> wrong = new ArrayList<>();
            for (int thread = 0; thread < 2; thread++) {
                int first = thread;
                wrong.add(threads.submit((Callable<Integer>) () -> {
                    int differing = 0;
                    for (int round = 0; round < 100; round++) {
                        for (int i = first; i < lines.size(); i += 2) {
                            differing += findings(log, lines.get(i)).equals(alone.get(i)) ? 0 : 1;
                        }
                    }
                    return differing;
                }));
            }
            for (Future<Integer> each : wrong) {
                assertThat(each.get(60, TimeUnit.SECONDS)).as("lines misread").isZero();
            }
        } finally {
            threads.shutdownNow();
        }
    }

    @Test
    @Promise("log-read-1")
    void noLineLeadsToAnException(VendorBench bench) {
        KernelLog log = bench.vendor().kernelLog();
        List<String> words = log.words();
        List<String> lines = new ArrayList<>(List.of("", " ", "\u0000", "\ud800", "x".repeat(LONGEST_LINE)));
        for (String word : words) {
            lines.add(word);
            lines.add(word.repeat(LONGEST_LINE / word.length()));
            lines.add(word + "x".repeat(LONGEST_LINE - word.length()));
            lines.add(" ".repeat(LONGEST_LINE - word.length()) + word);
            lines.add(word + ": " + "0000:00:00.0 ".repeat(600));
            lines.add(word + " 0x" + "f".repeat(8000));
        }
        for (String line : lines()) {
            for (int cut = 0; cut <= line.length(); cut++) {
                lines.add(line.substring(0, cut));
                lines.add(line.substring(cut));
            }
        }
        Random random = bench.random();
        for (int i = 0; i < bench.mutants(2000); i++) {
            lines.add(hostile(random, words));
            if (!lines().isEmpty()) {
                lines.add(mutant(lines().get(random.nextInt(lines().size())), random));
            }
        }
        for (String line : lines) {
            String read = line.length() > LONGEST_LINE ? line.substring(0, LONGEST_LINE) : line;
            assertThatCode(() -> findings(log, read)).as("reading '%s'", read).doesNotThrowAnyException();
        }
    }

    /** Each line tells something, or is there because it means nothing; not all mean nothing. */
    @Test
    @Promise("log-read-1")
    void someLinesTellSomething(VendorBench bench) {
        KernelLog log = bench.vendor().kernelLog();
        assertThat(lines().stream().mapToInt(line -> findings(log, line).size()).sum() > 0)
                .as("the driver's lines tell something, if it has any")
                .isEqualTo(!lines().isEmpty());
        for (String line : lines()) {
            assertThat(findings(log, "host kernel: [    0.123456] " + line))
                    .as("findings in '%s' with something before it", line)
                    .isEqualTo(findings(log, line));
        }
    }

    private static String hostile(Random random, List<String> words) {
        String text = Noise.text(random, random.nextInt(random.nextInt(50) == 0 ? LONGEST_LINE - 64 : 150));
        if (words.isEmpty()) {
            return text;
        }
        int at = random.nextInt(text.length() + 1);
        return text.substring(0, at) + words.get(random.nextInt(words.size())) + text.substring(at);
    }

    private static String mutant(String line, Random random) {
        StringBuilder mutant = new StringBuilder(line);
        for (int changes = 1 + random.nextInt(4); changes > 0 && mutant.length() > 0; changes--) {
            int at = random.nextInt(mutant.length());
            switch (random.nextInt(4)) {
                case 0 -> mutant.deleteCharAt(at);
                case 1 -> mutant.insert(at, Noise.text(random, random.nextInt(24)));
                case 2 -> mutant.insert(at, mutant.charAt(at));
                default -> mutant.setCharAt(at, Noise.text(random, 1).charAt(0));
            }
        }
        return mutant.toString();
    }

    /** Returns what a line tells, as text. */
    private static List<String> findings(KernelLog log, String line) {
        List<String> found = new ArrayList<>();
        log.read(line, new KernelLog.Findings() {
            @Override
            public void unit(String name, OptionalLong registerBase, Map<String, Long> registers) {
                assertThat(name).as("the name of a unit").isNotBlank();
                found.add("unit " + name + " " + registerBase + " " + registers);
            }

            @Override
            public void everyUnit(Map<String, Long> registers) {
                found.add("every unit " + registers);
            }

            @Override
            public void includeAll(long registerBase, boolean includeAll) {
                found.add("include all " + registerBase + " " + includeAll);
            }

            @Override
            public void interruptRemapping(boolean on) {
                found.add("interrupt remapping " + on);
            }

            @Override
            public void inUse(boolean inUse) {
                found.add("in use " + inUse);
            }

            @Override
            public void present() {
                found.add("present");
            }

            @Override
            public void unitFunction(PciAddress function) {
                found.add("unit's function " + function);
            }

            @Override
            public void remark(KernelRemark remark) {
                found.add("remark " + remark);
            }

            @Override
            public void identityMap(PciAddress device, long start, long end) {
                found.add("identity map " + device + " " + start + " " + end);
            }

            @Override
            public void regionsRelaxed() {
                found.add("regions relaxed");
            }

            @Override
            public void done() {
                found.add("done");
            }
        });
        return found;
    }
}
