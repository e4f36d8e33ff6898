// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.decode;

import static org.assertj.core.api.Assertions.assertThat;

import com.code_intelligence.jazzer.junit.FuzzTest;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.iommu4j.host.InputException;
import org.iommu4j.sim.amdvi.AmdViUnitProvider;
import org.iommu4j.sim.spi.Fabric;
import org.iommu4j.sim.spi.RegisterDump;
import org.iommu4j.sim.spi.TableReader;
import org.iommu4j.sim.spi.Translation;
import org.iommu4j.sim.spi.TranslationUnitProvider;
import org.iommu4j.sim.vtd.VtdUnitProvider;
import tools.jackson.databind.json.JsonMapper;

/**
 * No dump crashes the readers of tables, hangs them or gets control characters to a terminal: it is read, or refused in
 * one line.
 *
 * <p>Without {@code JAZZER_FUZZ} the inputs that are checked in are tried, else new ones are made; CONTRIBUTING.md says
 * how.
 */
class DecodeInputsFuzzTest {
    private static final List<TranslationUnitProvider> SILICON =
            List.of(new VtdUnitProvider(), new AmdViUnitProvider());

    private static final long TOP = 0x1000;
    private static final int PAGES = 16;
    private static final int LIMIT = 100_000;

    /** Units whose top table is the page at 0x1000: VT-d in legacy and scalable mode, AMD-Vi. */
    private static final List<RegisterDump> UNITS = List.of(
            new RegisterDump(0xfed9_0000L, Map.of(0x0, 0x10L, 0x8, 0xd2008c22260206L, 0x10, 0xf00fcaL, 0x20, TOP)),
            new RegisterDump(
                    0xfed9_0000L, Map.of(0x0, 0x10L, 0x8, 0xd2008c22260206L, 0x10, 0xc99880f00fcaL, 0x20, TOP | 0x400)),
            new RegisterDump(
                    0xfed8_0000L,
                    Map.of(0x0, TOP, 0x8, 0x0900000000002000L, 0x10, 0x0900000000003000L, 0x30, 0x29d3L)));

    private static void assertOneLine(String text) {
        assertThat(text).isNotEmpty();
        assertThat(text.chars()).allMatch(c -> c >= ' ' && c != 0x7f);
    }

    /** Does with a dump what {@code iommu4j decode} does; a refusal in one line is as good as an answer. */
    private static void decode(RegisterDump registers, Fabric image) {
        ReadBudget memory = new ReadBudget(image, LIMIT);
        TableReader reader;
        try {
            reader = TableReaders.choose("fuzz", SILICON, registers, memory);
        } catch (InputException e) {
            assertOneLine(e.getMessage());
            return;
        }
        assertOneLine(reader.describe());
        StringWriter json = new StringWriter();
        MappingJson mappings = new MappingJson(new PrintWriter(json));
        GuardedVisitor guarded = new GuardedVisitor(mappings, DecodeInputsFuzzTest::assertOneLine, LIMIT);
        try {
            reader.visit(guarded);
        } catch (GuardedVisitor.LimitException e) {
            assertOneLine(e.getMessage());
        }
        guarded.finish();
        mappings.finish();
        assertThat(JsonMapper.shared().readTree(json.toString()).isArray()).isTrue();
        look(reader, memory);
    }

    private static void look(TableReader reader, ReadBudget memory) {
        AddressReport report = new AddressReport(reader, 0);
        for (int requesterId : new int[] {0, 0x28, 0xffff}) {
            AddressLookup lookup = new AddressLookup(0);
            memory.begin();
            try {
                reader.visit(requesterId, new GuardedVisitor(lookup, DecodeInputsFuzzTest::assertOneLine, LIMIT));
            } catch (GuardedVisitor.LimitException e) {
                assertOneLine(e.getMessage());
            }
            memory.begin();
            List<AddressLookup.Entry> answers = lookup.answers(reader, requesterId);
            for (AddressLookup.Entry answer : answers) {
                if (Translation.isFault(answer.read())) {
                    assertOneLine(reader.faultReason(Translation.faultCode(answer.read())));
                }
            }
            assertThat(report.text(answers)).isNotEmpty();
        }
    }

    /** The text of {@code --registers}. */
    @FuzzTest(maxDuration = "10m")
    void registers(byte[] text) {
        RegisterDump dump;
        try {
            dump = RegisterText.parse("fuzz", new String(text, StandardCharsets.UTF_8));
        } catch (InputException e) {
            assertOneLine(e.getMessage());
            return;
        }
        decode(dump, new Words(new byte[0]));
    }

    /** The file of {@code --memory --memory-format pages}, and what units make of it. */
    @FuzzTest(maxDuration = "10m")
    void pages(byte[] bytes) throws IOException {
        Path file = Files.createTempFile("iommu4j-fuzz-", ".bin");
        try {
            Files.write(file, bytes);
            try (MemoryImage image = MemoryImage.open(file, MemoryFormat.PAGES, Long.MAX_VALUE)) {
                image.warnings().forEach(DecodeInputsFuzzTest::assertOneLine);
                UNITS.forEach(unit -> decode(unit, image));
            } catch (InputException e) {
                assertOneLine(e.getMessage());
            }
        } finally {
            Files.delete(file);
        }
    }

    /** The tables in a file of pages, written shorter so that more of the input is entries: see {@link Words}. */
    @FuzzTest(maxDuration = "10m")
    void tables(byte[] words) {
        Words memory = new Words(words);
        UNITS.forEach(unit -> decode(unit, memory));
    }

    /** Some pages from 0x1000 on that are zero but for words: a byte of page, two of index, eight of value. */
    private static final class Words implements Fabric {
        private static final int RECORD = 11;

        private final long[][] pages = new long[PAGES][512];

        Words(byte[] bytes) {
            ByteBuffer input = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
            while (input.remaining() >= RECORD) {
                int page = input.get() & (PAGES - 1);
                int index = input.getShort() & 511;
                pages[page][index] = input.getLong();
            }
        }

        @Override
        public boolean isMemory(long physicalAddress) {
            return physicalAddress >= TOP && physicalAddress < TOP + PAGES * 4096L;
        }

        @Override
        public long read(long physicalAddress, boolean snoop) {
            long at = physicalAddress - TOP;
            return isMemory(physicalAddress) ? pages[(int) (at >>> 12)][(int) (at & 4095) >>> 3] : -1;
        }

        @Override
        public void write(long physicalAddress, long value, boolean snoop) {
            throw new IllegalStateException("a reader wrote to 0x" + Long.toHexString(physicalAddress));
        }

        @Override
        public void write32(long physicalAddress, int value, boolean snoop) {
            throw new IllegalStateException("a reader wrote to 0x" + Long.toHexString(physicalAddress));
        }

        @Override
        public boolean compareAndSet(long physicalAddress, long expected, long value, boolean snoop) {
            throw new IllegalStateException("a reader wrote to 0x" + Long.toHexString(physicalAddress));
        }
    }
}
