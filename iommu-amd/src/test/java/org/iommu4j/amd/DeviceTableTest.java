// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.iommu4j.DomainFlag;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.Prot;
import org.iommu4j.amd.acpi.DeviceRange;
import org.iommu4j.platform.support.FlatMemory;
import org.iommu4j.platform.support.FramePool;
import org.iommu4j.sim.amdvi.AmdViUnitProvider;
import org.iommu4j.sim.spi.Fabric;
import org.iommu4j.sim.spi.RegisterDump;
import org.iommu4j.sim.spi.RequestFlags;
import org.iommu4j.sim.spi.TableReader;
import org.iommu4j.sim.spi.Translation;
import org.iommu4j.sim.spi.TranslationUnit;
import org.iommu4j.spi.VendorContext;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The 256 bits of an entry: in which order they change, and what of them never does. */
class DeviceTableTest {
    /** Of word 1: SysMgt. Of word 2: INIT, external and NMI pass; IntCtl 2; root 0x12345040, length 9; IV. */
    private static final long MESSAGES = 0x0000_0200_0000_0000L;

    private static final long INTERRUPTS = 0x2700_0000_1234_5053L;
    private static final long GUEST_LEVELS = 1L << 54;

    private static final long HOST = 0x6000_0000_0040_0603L;
    private static final long GUEST = 0x60c0_0000_0000_0003L;

    @Test
    void wordZeroGoesFirstWhereTranslationEndsAndLastWhereItBegins() {
        InterposedMemory memory = new InterposedMemory(1L << 24);
        DeviceTable table = new DeviceTable(memory, new FramePool(0x10_0000, 0x10_0000), 0xff);
        memory.stores.clear();
        table.set(0x10, HOST, 5, 0);
        assertThat(memory.stores)
                .as("on")
                .containsExactly("100200 = 3", "100208 = 5", "100210 = 0", "100200 = 6000000000400603");
        memory.stores.clear();
        table.set(0x10, GUEST, 0xffff_f801_ffff_0006L, GUEST_LEVELS);
        assertThat(memory.stores)
                .as("from host to guest tables")
                .containsExactly(
                        "100200 = 3",
                        "100208 = fffff801ffff0006",
                        "100210 = 40000000000000",
                        "100200 = 60c0000000000003");
        memory.stores.clear();
        table.set(0x10, 3, 0, 0);
        assertThat(memory.stores).as("off").containsExactly("100200 = 3", "100208 = 0", "100210 = 0", "100200 = 3");
        memory.stores.clear();
        table.set(0x10, 3, 0, 0);
        assertThat(memory.stores).as("nothing else to change").containsExactly("100200 = 3");
    }

    @Test
    void whatAnEntrySaysOfInterruptsAndMessagesStaysWhateverBecomesOfTranslation() {
        FlatMemory memory = new FlatMemory(1L << 24);
        DeviceTable table = new DeviceTable(memory, new FramePool(0x10_0000, 0x10_0000), 0xff);
        memory.store(0x100208, MESSAGES);
        memory.store(0x100210, INTERRUPTS);
        memory.store(0x100218, 0x0123_0045_0067_0000L);
        long[][] changes = {{HOST, 5, 0}, {GUEST, 0xffff_f801_ffff_0006L, GUEST_LEVELS}, {HOST, 7, 0}, {3, 0, 0}};
        for (long[] change : changes) {
            table.set(0x10, change[0], change[1], change[2]);
            assertThat(memory.load(0x100200)).isEqualTo(change[0]);
            assertThat(memory.load(0x100208)).isEqualTo(MESSAGES | change[1]);
            assertThat(memory.load(0x100210)).isEqualTo(INTERRUPTS | change[2]);
            assertThat(memory.load(0x100218)).isEqualTo(0x0123_0045_0067_0000L);
        }
        assertThat(memory.load(0x1001e0) | memory.load(0x100220))
                .as("its neighbours")
                .isEqualTo(3);
    }

    @ParameterizedTest
    @CsvSource({"0, 128, 0", "0x7f, 128, 0", "0x80, 256, 1", "0x17f, 512, 3", "0x1ff, 512, 3", "0xffff, 65536, 511"})
    void aTableReachesAtLeastToTheHighestIdAndEveryIdIsBlocked(String highest, int entries, long size) {
        FlatMemory memory = new FlatMemory(1L << 24);
        FramePool pool = new FramePool(0x20_0000, 0x80_0000);
        int highestId = Integer.decode(highest);
        for (int word = 0; word < entries * 4; word++) {
            memory.store(0x20_0000 + word * 8L, -1L);
        }
        DeviceTable table = new DeviceTable(memory, pool, highestId);

        assertThat(table.size()).isEqualTo(entries);
        assertThat(table.has(highestId)).isTrue();
        assertThat(table.has(entries - 1)).isTrue();
        assertThat(table.has(entries)).isFalse();
        assertThat(table.register()).isEqualTo(0x20_0000 | size);
        for (int id = 0; id < entries; id++) {
            assertThat(table.word(id, 0)).isEqualTo(3);
            assertThat(table.word(id, 1) | table.word(id, 2) | table.word(id, 3))
                    .isZero();
        }
        assertThat(pool.inUse()).isEqualTo(table.countFrames()).isEqualTo(size + 1);
        table.free();
        assertThat(pool.inUse()).isZero();
    }

    @Test
    void firmwaresSettingsLetMessagesPassOfEachIdAndTheAliasAndAddUp() {
        FlatMemory memory = new FlatMemory(1L << 24);
        DeviceTable table = new DeviceTable(memory, new FramePool(0x10_0000, 0x10_0000), 0xff);
        table.applySettings(new DeviceRange(0x10, 0x11, 0x20, 0b1101_0111));
        table.applySettings(new DeviceRange(0x10, 0x10, DeviceRange.NO_ALIAS, 0b0010_0000));
        table.applySettings(new DeviceRange(0x12, 0x12, DeviceRange.NO_ALIAS, 0));

        // SysMgt is bits 105:104; INIT, external and NMI pass bits 184 to 186, LINT0 and LINT1 bits 190 and 191.
        assertThat(new long[] {table.word(0x10, 1), table.word(0x11, 1), table.word(0x20, 1)})
                .containsExactly(3L << 40, 1L << 40, 1L << 40);
        for (int id : new int[] {0x10, 0x11, 0x20}) {
            assertThat(table.word(id, 2)).isEqualTo(0xc7L << 56);
            assertThat(table.word(id, 0)).isEqualTo(3);
        }
        for (int id : new int[] {0xf, 0x12, 0x1f, 0x21}) {
            assertThat(table.word(id, 1) | table.word(id, 2)).isZero();
        }
    }

    @Test
    void withoutMemoryThereIsNoTable() {
        FramePool pool = new FramePool(0x10_0000, 0x1000);
        assertThatThrownBy(() -> new DeviceTable(new FlatMemory(1L << 24), pool, 0x80))
                .isInstanceOfSatisfying(
                        IommuException.class, e -> assertThat(e.errno()).isEqualTo(Errno.ENOMEM));
        assertThat(pool.inUse()).isZero();
    }

    @Test
    void aUnitThatLooksAtAnyMomentSeesTheOldTranslationNoneOrTheNewOne() {
        TestPlatform platform = new TestPlatform();
        // IASup, PPRSup, GTSup, HATS 2, GATS 1, GLXSup 2, PASmax 15, GIoSup.
        platform.efr = 0x8c0 | 1 << 1 | 1 << 4 | 1 << 12 | 2 << 14 | 15L << 32 | 1L << 48;
        InterposedMemory memory = new InterposedMemory(platform.memory);
        VendorContext context = platform.context();
        AmdIommu iommu = (AmdIommu) new AmdVendor().open(context.withMemory(memory));
        IommuDevice device = iommu.probe(platform.expressFunction(1, 0, 16)).orElseThrow();
        List<IommuDomain> domains = new ArrayList<>();
        for (int i = 0; i < 2; i++) {
            domains.add(iommu.allocate(DomainType.UNMANAGED, device));
            domains.add(iommu.allocate(DomainType.UNMANAGED, device, Set.of(DomainFlag.PASID)));
        }
        domains.add(iommu.allocate(DomainType.IDENTITY, device));
        domains.add(iommu.allocate(DomainType.BLOCKED, device));
        for (int i = 0; i < 4; i++) {
            domains.get(i).map(0x1000, 0x10_0000L * (i + 2), 4096, 1, Prot.READ);
        }
        setTraps(platform.memory);
        int moves = 0;
        int looks = 0;
        long old = Translation.fault(2);
        for (IommuDomain from : domains) {
            for (IommuDomain to : domains) {
                for (IommuDomain next : new IommuDomain[] {from, to}) {
                    List<Long> seen = new ArrayList<>();
                    memory.afterStore = () -> seen.add(look(platform));
                    next.attach(device);
                    memory.afterStore = () -> {};
                    long now = look(platform);
                    assertThat(now).as("%s", next).isEqualTo(expected(domains.indexOf(next)));
                    assertThat(seen).as("to %s", next).isSubsetOf(old, Translation.fault(2), now);
                    old = now;
                    moves++;
                    looks += seen.size();
                }
            }
        }
        assertThat(moves).isEqualTo(72);
        assertThat(looks).isGreaterThan(4 * moves);
    }

    /**
     * Puts guest tables where a GCR3 table would be if word 0 had its low address bits and word 1 none of the others,
     * as in an entry of which one half is new.
     */
    private static void setTraps(FlatMemory memory) {
        // GCR3 tables of two levels, and five levels of guest tables.
        for (long gcr3 = 0; gcr3 < 0x8000; gcr3 += 0x1000) {
            memory.store(gcr3, 0x8001);
        }
        memory.store(0x8000, 0x9001);
        for (long table = 0x9000; table < 0xd000; table += 0x1000) {
            memory.store(table, table + 0x1027);
        }
        memory.store(0xd008, 0xbad067);
    }

    private static long expected(int domain) {
        return domain < 4
                // FC in host tables only.
                ? Translation.to(0x10_0000L * (domain + 2), domain % 2 == 0)
                : domain == 4 ? Translation.to(0x1000, false) : Translation.fault(2);
    }

    /** Translates as a unit that has nothing cached. */
    private static long look(TestPlatform platform) {
        Map<Integer, Long> words = new HashMap<>();
        for (int offset : new int[] {0x0, 0x8, 0x10, 0x18, 0x30}) {
            words.put(offset, platform.unit.read64(offset));
        }
        TableReader reader = new AmdViUnitProvider()
                .reader(new RegisterDump(TestPlatform.BASE, words), fabric(platform.memory))
                .orElseThrow();
        return reader.translate(0x100, TranslationUnit.NO_PASID, 0x1000, RequestFlags.READ);
    }

    private static Fabric fabric(FlatMemory memory) {
        return new Fabric() {
            @Override
            public boolean isMemory(long physicalAddress) {
                return physicalAddress >= 0 && physicalAddress < 1L << 30;
            }

            @Override
            public long read(long physicalAddress, boolean snoop) {
                return isMemory(physicalAddress) ? memory.load(physicalAddress) : -1L;
            }

            @Override
            public void write(long physicalAddress, long value, boolean snoop) {
                throw new AssertionError("a look writes nothing");
            }

            @Override
            public void write32(long physicalAddress, int value, boolean snoop) {
                throw new AssertionError("a look writes nothing");
            }

            @Override
            public boolean compareAndSet(long physicalAddress, long expected, long value, boolean snoop) {
                throw new AssertionError("a look writes nothing");
            }
        };
    }
}
