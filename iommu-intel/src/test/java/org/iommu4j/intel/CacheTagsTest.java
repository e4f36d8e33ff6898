// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.iommu4j.intel.CacheTags.Kind.BELOW_A_FIRST_STAGE;
import static org.iommu4j.intel.CacheTags.Kind.FIRST_STAGE;
import static org.iommu4j.intel.CacheTags.Kind.SECOND_STAGE;

import java.util.List;
import org.iommu4j.Errno;
import org.iommu4j.Iommu;
import org.iommu4j.IommuException;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Which requests a flush makes of which unit; descriptors are hex as the manual has them. */
class CacheTagsTest {
    private static final int NO_PASID = 0;

    private final CacheTags tags = new CacheTags();
    private RegistersDouble one;
    private RegistersDouble other;

    /** Behind the first unit. */
    private IntelDevice alone;

    /** Both behind the second unit. */
    private IntelDevice left;

    private IntelDevice right;

    @BeforeEach
    void openTwoUnitsInCachingMode() {
        Bench bench = Bench.pair(Bench.CAP_CM, Bench.ECAP, Bench.CAP_CM, Bench.ECAP);
        bench.function("0000:00:04.0", 0x020000);
        Iommu iommu = bench.open();
        alone = (IntelDevice) bench.probe(iommu, "0000:00:02.0");
        left = (IntelDevice) bench.probe(iommu, "0000:00:03.0");
        right = (IntelDevice) bench.probe(iommu, "0000:00:04.0");
        one = bench.units.get(0xfed90000L);
        other = bench.units.get(0xfed91000L);
        one.recording = true;
        other.recording = true;
        one.takeLog();
        other.takeLog();
    }

    /** The requests since the last call, without waits. */
    private static List<String> requests(RegistersDouble unit) {
        return unit.takeLog().stream()
                .filter(descriptor -> !descriptor.matches("[0-9a-f]*[0-9a-f]25 .*"))
                .toList();
    }

    private void flushAPage() {
        tags.flush(0x3000, 0x3fff, true);
    }

    @Test
    void devicesOfOneUnitShareATagUntilTheLastOfThemLeaves() {
        tags.add(left, NO_PASID, 5, SECOND_STAGE);
        tags.add(right, NO_PASID, 5, SECOND_STAGE);
        flushAPage();
        assertThat(requests(other)).containsExactly("500f2 3040");
        assertThat(requests(one)).isEmpty();

        tags.remove(left, NO_PASID, 5, SECOND_STAGE);
        flushAPage();
        assertThat(requests(other)).as("one of them is left").containsExactly("500f2 3040");

        tags.remove(right, NO_PASID, 5, SECOND_STAGE);
        flushAPage();
        assertThat(requests(other)).as("nobody is left").isEmpty();
        assertThat(tags.attachments()).isNull();
    }

    @Test
    void aTagThatGoesLeavesAllOthers() {
        for (int gone = 5; gone <= 7; gone++) {
            tags.add(alone, NO_PASID, 5, SECOND_STAGE);
            tags.add(left, NO_PASID, 6, SECOND_STAGE);
            tags.add(right, NO_PASID, 7, SECOND_STAGE);

            tags.remove(gone == 5 ? alone : gone == 6 ? left : right, NO_PASID, gone, SECOND_STAGE);

            flushAPage();
            assertThat(requests(one)).as("without %d", gone).hasSize(gone == 5 ? 0 : 1);
            assertThat(requests(other)).as("without %d", gone).hasSize(gone == 5 ? 2 : 1);
            for (CacheTags.Attachment at = tags.attachments(); at != null; at = at.next()) {
                tags.remove(at.device, at.pasid, at.domainId, at.kind);
            }
        }
    }

    @Test
    void eachStageAndEachPasidOfAFirstStageHasATagOfItsOwn() {
        tags.add(left, NO_PASID, 5, SECOND_STAGE);
        tags.add(left, NO_PASID, 5, BELOW_A_FIRST_STAGE);
        tags.add(left, 7, 5, FIRST_STAGE);
        tags.add(left, 8, 5, FIRST_STAGE);
        tags.add(left, 9, 5, SECOND_STAGE);

        flushAPage();

        assertThat(requests(other))
                .as("newest first; below a first stage all of the domain")
                .containsExactly("800050036 3040", "700050036 3040", "500e2 0", "500f2 3040");
        tags.remove(left, 7, 5, FIRST_STAGE);
        flushAPage();
        assertThat(requests(other)).containsExactly("800050036 3040", "500e2 0", "500f2 3040");
        assertThatIllegalStateException().isThrownBy(() -> tags.remove(left, 7, 5, FIRST_STAGE));
    }

    @Test
    void aRangeIsWidenedToAnAlignedPowerOfTwoOfPages() {
        tags.add(left, NO_PASID, 5, SECOND_STAGE);
        tags.add(left, 7, 5, FIRST_STAGE);

        tags.flush(0x13000, 0x16fff, true);
        assertThat(requests(other)).as("8 pages from 0x10000").containsExactly("700050036 10043", "500f2 10043");
        tags.flush(0x13000, 0x16fff, false);
        assertThat(requests(other)).as("tables too").containsExactly("700050036 10003", "500f2 10003");
        tags.flush(UnitCaches.ALL_FIRST, UnitCaches.ALL_LAST, true);
        assertThat(requests(other)).containsExactly("700050026 0", "500e2 0");
    }

    @Test
    void allOtherUnitsForgetThoughOneDoesNotAnswer() {
        tags.add(left, NO_PASID, 6, SECOND_STAGE);
        tags.add(alone, NO_PASID, 5, SECOND_STAGE);
        one.frozen = true;

        assertThatThrownBy(this::flushAPage)
                .isInstanceOfSatisfying(
                        IommuException.class, e -> assertThat(e.errno()).isEqualTo(Errno.ETIMEDOUT));
        assertThat(requests(other)).containsExactly("600f2 3040");

        assertThatThrownBy(this::flushAPage)
                .isInstanceOfSatisfying(
                        IommuException.class, e -> assertThat(e.errno()).isEqualTo(Errno.EIO));
        assertThat(requests(other)).as("the broken unit is asked first again").containsExactly("600f2 3040");
    }

    @Test
    void everyUnitInCachingModeHearsOfNewEntries() {
        tags.add(left, NO_PASID, 6, SECOND_STAGE);
        tags.add(alone, NO_PASID, 5, BELOW_A_FIRST_STAGE);
        tags.add(right, NO_PASID, 7, SECOND_STAGE);

        tags.syncMap(0x3000, 0x3fff);

        assertThat(requests(one)).as("below a first stage all of the domain").containsExactly("500e2 0");
        assertThat(requests(other)).containsExactly("700f2 3000", "600f2 3000");
    }
}
