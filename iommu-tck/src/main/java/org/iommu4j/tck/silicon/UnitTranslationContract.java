// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.silicon;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.iommu4j.tck.SiliconBench.digest;
import static org.iommu4j.tck.silicon.Watched.READ;
import static org.iommu4j.tck.silicon.Watched.WRITE;

import java.util.List;
import java.util.Random;
import org.iommu4j.DmaFault;
import org.iommu4j.IommuDomain;
import org.iommu4j.sim.spi.RequestFlags;
import org.iommu4j.sim.spi.Translation;
import org.iommu4j.sim.spi.TranslationUnit;
import org.iommu4j.tck.Ability;
import org.iommu4j.tck.NeedsAbility;
import org.iommu4j.tck.Promise;
import org.iommu4j.tck.SiliconBench;
import org.iommu4j.tck.support.Allocations;
import org.junit.jupiter.api.Test;

/** What a unit answers to requests. */
public abstract class UnitTranslationContract {
    /** The bits of a {@link Translation} that are none of a fault's. */
    private static final long NO_FAULT = ~(1L << 63 | 0xffff);

    /** Bits of a success that are always 0. */
    private static final long UNUSED = 7L << 59;

    /** Made by JUnit. */
    protected UnitTranslationContract() {}

    private static void assertReaches(long answer, long address) {
        assertThat(Translation.isFault(answer)).as(Translation.toString(answer)).isFalse();
        assertThat(Translation.isConsumed(answer))
                .as(Translation.toString(answer))
                .isFalse();
        assertThat(Translation.address(answer)).as("address").isEqualTo(address);
    }

    private static void assertRefused(long answer) {
        assertThat(Translation.isFault(answer))
                .as("%s is a refusal", Translation.toString(answer))
                .isTrue();
    }

    @Test
    @Promise("unit-translate-1")
    void everyByteOfAMappedPageIsFoundAndNothingElseIs(SiliconBench silicon) {
        Watched watched = Watched.on(silicon);
        watched.map();
        Random random = silicon.random();
        long granule = watched.bench.granule();
        for (int turn = 0; turn < 2; turn++) {
            for (int page = 0; page < Watched.PAGES; page++) {
                long[] bytes = {0, 8, granule - 8, granule - 1, random.nextInt((int) granule)};
                for (long at : bytes) {
                    assertReaches(watched.translate(watched.iova(page) + at, READ), watched.page(page) + at);
                    assertReaches(watched.translate(watched.iova(page) + at, WRITE), watched.page(page) + at);
                }
            }
            int readOnly = Watched.readOnly();
            assertReaches(watched.translate(watched.iova(readOnly) + 16, READ), watched.page(readOnly) + 16);
            assertRefused(watched.translate(watched.iova(readOnly) + 16, WRITE));
            assertRefused(watched.translate(watched.iova(0) - 1, READ));
            assertRefused(watched.translate(watched.iova(Watched.PAGES), READ));
            assertRefused(watched.translate(watched.iova(Watched.PAGES), WRITE));
        }
    }

    @Test
    @Promise("unit-translate-1")
    void eachDeviceHasItsOwnPages(SiliconBench silicon) {
        Watched watched = Watched.on(silicon);
        watched.map();
        int other = silicon.sourceId(watched.bench.second().id());
        WatchedUnit unit = watched.units.stream()
                .filter(each -> each.spec()
                        .name()
                        .equals(silicon.unit(watched.bench.second().id())))
                .findFirst()
                .orElseThrow();
        assertRefused(unit.translate(other, TranslationUnit.NO_PASID, watched.iova(0), READ));
        IommuDomain domain = watched.bench.domain();
        IommuDomain second = watched.bench.iommu().allocate(domain.type(), watched.bench.second());
        watched.bench.attach(second, watched.bench.second());
        watched.bench.map(second, watched.iova(0), watched.page(9));
        for (int turn = 0; turn < 2; turn++) {
            assertReaches(
                    unit.translate(other, TranslationUnit.NO_PASID, watched.iova(0) + 8, READ), watched.page(9) + 8);
            assertReaches(watched.translate(watched.iova(0) + 8, READ), watched.page(0) + 8);
            assertRefused(unit.translate(other, TranslationUnit.NO_PASID, watched.iova(1), READ));
        }
    }

    @Test
    @Promise("unit-translate-1")
    @NeedsAbility(Ability.FAULT_REPORTS)
    void aRefusalIsRecordedOnce(SiliconBench silicon) {
        Watched watched = Watched.on(silicon);
        watched.map();
        watched.bench.iommu().takeFaults();
        long granule = watched.bench.granule();
        int[] missing = {40, 41, Watched.readOnly(), 77};
        boolean[] writes = {false, true, true, false};
        for (int i = 0; i < missing.length; i++) {
            long address = watched.iova(missing[i]);
            long answer = watched.translate(address, writes[i] ? WRITE : READ);
            assertRefused(answer);
            List<DmaFault> faults = watched.bench.iommu().takeFaults();
            assertThat(faults).as("faults after one refusal").hasSize(1);
            DmaFault fault = faults.get(0);
            assertThat(fault.address() & -granule).as("%s", fault).isEqualTo(address);
            assertThat(fault.write()).as("%s", fault).isEqualTo(writes[i]);
            assertThat(fault.reason()).as("%s", fault).isEqualTo(Translation.faultCode(answer));
            assertThat(fault.requester())
                    .as("%s", fault)
                    .isEqualTo(watched.bench.device().id());
        }
        assertThat(watched.bench.iommu().takeFaults()).as("faults taken again").isEmpty();
    }

    @Test
    @Promise("unit-translate-1")
    @NeedsAbility(Ability.FAULT_REPORTS)
    void eachOfSeveralRefusalsIsRecordedAndSuccessesAreNot(SiliconBench silicon) {
        Watched watched = Watched.on(silicon);
        watched.map();
        watched.bench.iommu().takeFaults();
        for (int page = 0; page < Watched.PAGES; page++) {
            watched.translate(watched.iova(page), WRITE);
        }
        assertThat(watched.bench.iommu().takeFaults())
                .as("faults without a refusal")
                .isEmpty();
        for (int page = 40; page < 44; page++) {
            assertRefused(watched.translate(watched.iova(page), READ));
            watched.translate(watched.iova(0), READ);
        }
        assertThat(watched.bench.iommu().takeFaults().stream().map(DmaFault::address))
                .as("addresses of four refusals")
                .containsExactly(watched.iova(40), watched.iova(41), watched.iova(42), watched.iova(43));
        assertThat(watched.bench.iommu().faultOverflows()).isZero();
    }

    @Test
    @Promise("unit-translate-2")
    void translatingAllocatesNothing(SiliconBench silicon) {
        Watched watched = Watched.on(silicon);
        IommuDomain domain = watched.map();
        TranslationUnit unit = watched.unit;
        int sourceId = watched.sourceId;
        int none = TranslationUnit.NO_PASID;
        long iova = watched.iova(0);
        long readOnly = watched.iova(Watched.readOnly());
        long missing = watched.iova(40);
        long last = watched.bench.traits().lastIova();
        Allocations.assertNone("translating a page", () -> unit.translate(sourceId, none, iova + 8, READ));
        Allocations.assertNone("translating a page to write", () -> unit.translate(sourceId, none, iova, WRITE));
        Allocations.assertNone("refusing a page", () -> unit.translate(sourceId, none, missing, READ));
        Allocations.assertNone("refusing to write", () -> unit.translate(sourceId, none, readOnly, WRITE));
        Allocations.assertNone("refusing an address", () -> unit.translate(sourceId, none, last, READ));
        Allocations.assertNone("refusing a device", () -> unit.translate(0xfff8, none, iova, READ));
        Allocations.assertNone("refusing a PASID", () -> unit.translate(sourceId, 7, iova, READ));
        // So many pages that the unit can't remember all.
        long granule = watched.bench.granule();
        int many = (int) Math.min(4096, watched.bench.room() / granule / 4);
        watched.bench.map(domain, iova + 256 * granule, watched.page(0), granule, many, org.iommu4j.Prot.READ_WRITE);
        int[] next = new int[1];
        Allocations.assertNone("translating many pages", () -> {
            next[0] = (next[0] + 37) % many;
            unit.translate(sourceId, none, iova + (256 + next[0]) * granule, READ);
        });
    }

    @Test
    @Promise("unit-translate-3")
    void everyAnswerIsWellFormed(SiliconBench silicon) {
        Watched watched = Watched.on(silicon);
        watched.map();
        int second = silicon.sourceId(watched.bench.second().id());
        Random random = silicon.random();
        long granule = watched.bench.granule();
        for (int i = 0; i < 3_000; i++) {
            int sourceId = switch (random.nextInt(4)) {
                case 0 -> random.nextInt(1 << 16);
                case 1 -> second;
                default -> watched.sourceId;
            };
            int pasid = random.nextInt(3) == 0 ? random.nextInt(1 << 20) : TranslationUnit.NO_PASID;
            long address = switch (random.nextInt(4)) {
                case 0 -> random.nextLong();
                case 1 -> random.nextLong() >>> random.nextInt(64);
                default -> watched.iova(random.nextInt(12)) + random.nextInt((int) granule);
            };
            int flags = (random.nextBoolean() ? READ : WRITE) | (random.nextInt(4) == 0 ? RequestFlags.PRIVILEGED : 0);
            if ((flags & READ) != 0 && random.nextInt(4) == 0) {
                flags |= RequestFlags.EXECUTE;
            }
            silicon.steps().note("translate(0x%x, %d, 0x%x, %d)", sourceId, pasid, address, flags);
            long answer = watched.unit.translate(sourceId, pasid, address, flags);
            assertWellFormed(answer, address, granule);
        }
    }

    private static void assertWellFormed(long answer, long address, long granule) {
        if (Translation.isFault(answer)) {
            assertThat(answer & NO_FAULT)
                    .as("bits of a fault beside its code, in 0x%x", answer)
                    .isZero();
            assertThat(Translation.faultCode(answer)).as("code of a fault").isNotZero();
        } else {
            assertThat(answer & UNUSED).as("unused bits of 0x%x", answer).isZero();
            if (!Translation.isConsumed(answer)) {
                assertThat(Translation.address(answer) & (granule - 1))
                        .as("the byte in the page")
                        .isEqualTo(address & (granule - 1));
            }
        }
    }

    @Test
    @Promise("unit-translate-3")
    void theFaultCodeIsTheDevices(SiliconBench silicon) {
        Watched watched = Watched.on(silicon);
        watched.map();
        if (silicon.traits().has(Ability.TRANSLATION_REQUESTS)) {
            // A device that translates ahead is told nothing of why.
            return;
        }
        watched.bench.requester().read(watched.iova(40), false);
        assertThat(watched.bench.requester().fault())
                .as("the code of the device's refused request")
                .isEqualTo(Translation.faultCode(watched.translate(watched.iova(40), READ)))
                .isNotZero();
    }

    // ATS.

    private static long request(Watched watched, long address, int flags) {
        return watched.unit.requestTranslation(watched.sourceId, TranslationUnit.NO_PASID, address, flags);
    }

    @Test
    @Promise("unit-ats-1")
    @NeedsAbility(Ability.TRANSLATION_REQUESTS)
    void aTranslationRequestIsAnsweredLikeARequest(SiliconBench silicon) {
        Watched watched = Watched.on(silicon);
        watched.map();
        for (int turn = 0; turn < 2; turn++) {
            for (int page = 0; page < Watched.PAGES; page++) {
                long iova = watched.iova(page);
                for (int flags : new int[] {READ, WRITE}) {
                    long answer = request(watched, iova, flags);
                    assertReaches(answer, watched.page(page));
                    assertThat(Translation.snoopForced(answer))
                            .isEqualTo(Translation.snoopForced(watched.translate(iova, flags)));
                }
            }
            assertReaches(request(watched, watched.iova(Watched.readOnly()), READ), watched.page(Watched.readOnly()));
            assertRefused(request(watched, watched.iova(Watched.readOnly()), WRITE));
            assertRefused(request(watched, watched.iova(40), READ));
        }
    }

    @Test
    @Promise("unit-ats-2")
    @NeedsAbility(Ability.TRANSLATION_REQUESTS)
    void aTranslationRequestForNothingIsNoFault(SiliconBench silicon) {
        Watched watched = Watched.on(silicon);
        watched.map();
        watched.bench.iommu().takeFaults();
        for (int page = 40; page < 43; page++) {
            for (int flags : new int[] {READ, WRITE}) {
                assertThat(Translation.toString(request(watched, watched.iova(page), flags)))
                        .as("a translation request for a page that is not mapped")
                        .isEqualTo(Translation.toString(TranslationUnit.NOT_TRANSLATED));
            }
        }
        assertThat(watched.bench.iommu().takeFaults())
                .as("faults of translation requests")
                .isEmpty();
    }

    @Test
    @Promise("unit-pass-1")
    @NeedsAbility(Ability.TRANSLATION_REQUESTS)
    void aTranslatedRequestKeepsItsAddress(SiliconBench silicon) {
        Watched watched = Watched.on(silicon);
        watched.map();
        for (int page = 0; page < Watched.PAGES; page++) {
            long address = Translation.address(request(watched, watched.iova(page), READ));
            for (int flags : new int[] {READ, WRITE}) {
                assertReaches(
                        watched.unit.passTranslated(watched.sourceId, TranslationUnit.NO_PASID, address + 8, flags),
                        address + 8);
            }
        }
    }

    @Test
    @Promise("unit-pass-1")
    void aTranslatedRequestOfAnyDeviceGoesNowhereElse(SiliconBench silicon) {
        Watched watched = Watched.on(silicon);
        watched.map();
        watched.bench.iommu().takeFaults();
        for (int page : new int[] {0, 1, 40}) {
            long address = watched.iova(page);
            long ordinary = watched.translate(address, READ);
            watched.bench.iommu().takeFaults();
            long answer = watched.unit.passTranslated(watched.sourceId, TranslationUnit.NO_PASID, address, READ);
            boolean itself = !Translation.isFault(answer) && Translation.address(answer) == address;
            if (!silicon.traits().has(Ability.TRANSLATION_REQUESTS)) {
                assertThat(itself || Translation.isFault(answer) || answer == ordinary)
                        .as(Translation.toString(answer))
                        .isTrue();
            } else {
                assertThat(itself || Translation.isFault(answer))
                        .as(Translation.toString(answer))
                        .isTrue();
            }
            if (silicon.traits().has(Ability.FAULT_REPORTS)) {
                assertThat(watched.bench.iommu().takeFaults())
                        .as("faults of %s", Translation.toString(answer))
                        .hasSize(Translation.isFault(answer) ? 1 : 0);
            }
        }
    }

    @Test
    @Promise("unit-consume-1")
    void onlyAWriteThatTheUnitTakesIsConsumed(SiliconBench silicon) {
        Watched watched = Watched.on(silicon);
        watched.map();
        boolean consumes = false;
        for (int page = 0; page < 50; page++) {
            long address = watched.iova(page);
            long answer = watched.translate(address, WRITE);
            if (Translation.isConsumed(answer)) {
                consumes = true;
                assertThat(consume(watched, answer, address, page)).isBetween(0, 0xffff);
            }
        }
        assertThat(consumes).as("an ordinary page is taken by the unit").isFalse();
        long answer = watched.translate(watched.iova(0), WRITE);
        long before = digest(watched.unit);
        assertThatThrownBy(() -> consume(watched, answer, watched.iova(0), 1))
                .isInstanceOf(IllegalStateException.class);
        assertThat(digest(watched.unit)).isEqualTo(before);
    }

    private static int consume(Watched watched, long answer, long address, long data) {
        return watched.unit.consume(
                answer, watched.sourceId, TranslationUnit.NO_PASID, address, WRITE, data, Long.BYTES);
    }

    // Invalidations of devices.

    /** The machine answers when its units have no other work, the newest request first. */
    @Test
    @Promise("unit-complete-1")
    @NeedsAbility({Ability.TRANSLATION_REQUESTS, Ability.COMPLETION})
    void theDriverWaitsForADeviceThatAnswersLater(SiliconBench silicon) {
        Watched watched = Watched.on(silicon);
        IommuDomain domain = watched.map();
        watched.bench.answerInvalidationsLater();
        for (int page = 0; page < 2; page++) {
            watched.bench.requester().read(watched.iova(page), false);
            int before = watched.unit.completions;
            watched.bench.unmap(domain, watched.iova(page), watched.bench.granule());
            assertThat(watched.unit.completions)
                    .as("answers that came while the driver waited")
                    .isGreaterThan(before);
            watched.bench.assertBlocked(watched.iova(page));
        }
    }

    @Test
    @Promise("unit-complete-2")
    void anAnswerToNothingIsRefused(SiliconBench silicon) {
        Watched watched = Watched.on(silicon);
        watched.map();
        assertThat(watched.unit.completeInvalidation(watched.sourceId, 1, 1)).isFalse();
        assertThat(watched.unit.completeInvalidation(watched.sourceId, -1, 8)).isFalse();
    }

    @Test
    @Promise("unit-time-out-1")
    void aTimeOutOfNothingIsIgnored(SiliconBench silicon) {
        Watched watched = Watched.on(silicon);
        watched.map();
        long before = digest(watched.unit);
        watched.unit.timeOutInvalidations(-1);
        watched.settle();
        assertThat(digest(watched.unit)).isEqualTo(before);
    }

    // Page requests.

    private static void ask(Watched watched, int page, int flags, int group) {
        watched.unit.requestPage(watched.sourceId, TranslationUnit.NO_PASID, watched.iova(page), flags, group);
    }

    @Test
    @Promise("unit-page-1")
    void aPageRequestWaitsForAStep(SiliconBench silicon) {
        Watched watched = Watched.on(silicon);
        watched.map();
        watched.settle();
        watched.watch();
        for (int group = 0; group < 4; group++) {
            long before = digest(watched.unit);
            ask(watched, 40 + group, READ | WRITE | RequestFlags.LAST, group);
            assertThat(watched.unit.fabric.take())
                    .as("accesses of memory by a page request")
                    .isEmpty();
            assertThat(watched.unit.fabric.responses)
                    .as("answers before a step")
                    .isEmpty();
            boolean dropped = digest(watched.unit) == before;
            assertThat(watched.unit.step())
                    .as("work after a page request, which %s", dropped ? "was dropped" : "was kept")
                    .isEqualTo(!dropped);
            Watched.settle(watched.unit);
            watched.unit.fabric.responses.clear();
            watched.unit.fabric.take();
        }
    }

    @Test
    @Promise("unit-page-2")
    void aGroupIsAnsweredAtMostOnce(SiliconBench silicon) {
        Watched watched = Watched.on(silicon);
        watched.map();
        for (int group = 0; group < 6; group++) {
            ask(watched, 40 + group, READ, group);
            ask(watched, 50 + group, WRITE | RequestFlags.LAST, group);
            if (group % 2 == 0) {
                watched.unit.step();
            }
        }
        watched.settle();
        List<List<Integer>> answers = List.copyOf(watched.unit.fabric.responses);
        assertThat(answers).as("answers: source id, PASID, group, code").doesNotHaveDuplicates();
        assertThat(answers.stream().map(answer -> answer.get(2)))
                .as("groups that were answered")
                .doesNotHaveDuplicates()
                .allMatch(group -> group >= 0 && group < 6);
        assertThat(answers).allSatisfy(answer -> {
            assertThat(answer.get(0)).as("source id").isEqualTo(watched.sourceId);
            assertThat(answer.get(3)).as("response code").isIn(0, 1, 15);
        });
    }
}
