// SPDX-License-Identifier: Apache-2.0

/** What the contracts of drivers, silicon and vendors share; no part of the kit's interface. */
package org.iommu4j.tck.support;
