// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.cache;

import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.iommu4j.sim.spi.CacheGeometry;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class CacheGeometryTest {
    @ParameterizedTest
    @CsvSource({"0,1,1,1", "3,1,1,1", "1,0,1,1", "1,33,1,1", "1,1,6,1", "1,1,1,0", "1,1,1,33"})
    void sizesThatNoCacheHasAreRefused(int privateSets, int privateWays, int sharedSets, int sharedWays) {
        assertThatThrownBy(() -> new CacheGeometry(privateSets, privateWays, sharedSets, sharedWays))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("powers of two");
    }
}
