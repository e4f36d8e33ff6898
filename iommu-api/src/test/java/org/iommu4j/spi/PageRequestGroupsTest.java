// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.spi;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.iommu4j.PageRequest;
import org.iommu4j.PageRequestGroup;
import org.iommu4j.pci.PciAddress;
import org.junit.jupiter.api.Test;

class PageRequestGroupsTest {
    private static final PciAddress DEVICE = new PciAddress(0, 1, 0, 0);
    private static final int PASID = 5;

    private final PageRequestGroups groups = new PageRequestGroups(DEVICE);

    private static PageRequest page(int number) {
        return new PageRequest(number * 4096L, true, false, false, false);
    }

    @Test
    void aGroupIsHandedOutWhenItsLastRequestHasCome() {
        groups.add(PASID, 1, page(1), false);
        groups.add(PASID + 1, 1, page(9), false);
        groups.add(PASID, 2, page(2), true);
        groups.add(PASID, 1, page(3), false);
        assertThat(groups.take()).containsExactly(new PageRequestGroup(DEVICE, PASID, 2, List.of(page(2))));
        groups.add(PASID, 1, page(4), true);
        assertThat(groups.take())
                .containsExactly(new PageRequestGroup(DEVICE, PASID, 1, List.of(page(1), page(3), page(4))));
        assertThat(groups.take()).isEmpty();
    }

    @Test
    void onlyWholeGroupsSurviveAnOverflow() {
        groups.add(PASID, 1, page(1), false);
        groups.add(PASID, 2, page(2), true);
        groups.discardPartial();
        groups.add(PASID, 1, page(3), true);
        assertThat(groups.take())
                .extracting(PageRequestGroup::pages)
                .containsExactly(List.of(page(2)), List.of(page(3)));
    }

    @Test
    void aGroupIsClaimedOnceAndByNoEqualOne() {
        groups.add(PASID, 1, page(1), true);
        PageRequestGroup first = groups.take().get(0);
        assertThat(groups.claim(new PageRequestGroup(DEVICE, PASID, 1, List.of(page(1)))))
                .isFalse();
        assertThat(groups.claim(first)).isTrue();
        assertThat(groups.claim(first)).isFalse();
        groups.add(PASID, 1, page(1), true);
        assertThat(groups.take()).containsExactly(first);
        assertThat(groups.claim(first)).as("a later one that is equal").isFalse();
    }

    @Test
    void withdrawnIsWhatNobodyAnsweredOfThePasid() {
        groups.add(PASID, 1, page(1), true);
        groups.add(PASID, 2, page(2), true);
        List<PageRequestGroup> taken = groups.take();
        groups.claim(taken.get(0));
        groups.add(PASID, 3, page(3), true);
        groups.add(PASID, 4, page(4), false);
        groups.add(PASID + 1, 5, page(5), true);

        assertThat(groups.withdraw(pasid -> pasid == PASID))
                .extracting(PageRequestGroup::index)
                .containsExactly(2, 3);
        assertThat(groups.claim(taken.get(1))).isFalse();
        groups.add(PASID, 4, page(6), true);
        assertThat(groups.take())
                .extracting(PageRequestGroup::pages)
                .containsExactly(List.of(page(5)), List.of(page(6)));
    }
}
